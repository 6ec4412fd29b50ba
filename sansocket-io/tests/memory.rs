//! What a connection keeps on the heap: idle, and after large messages.

use sansocket_io::tokio::{ServerSocket, open};
use sansocket_io::{Event, Settings};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: it only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), SeqCst);
        ALLOCATIONS.fetch_add(1, SeqCst);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), SeqCst);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

async fn echo(mut socket: ServerSocket<DuplexStream>) {
    while let Some((event, reply)) = socket.next().await {
        if let Event::Message(message) = event {
            reply.send(message).unwrap();
        }
    }
}

/// Sends binary messages of this size, in four frames each, and waits for each echo.
async fn exchange(peer: &mut DuplexStream, size: usize, count: usize) {
    let mut frames = vec![];
    for first_byte in [0x02, 0, 0, 0x80] {
        match size / 4 {
            len @ ..126 => frames.extend([first_byte, 0x80 | len as u8]),
            len @ 126..65_536 => frames.extend([first_byte, 0xFE, (len >> 8) as u8, len as u8]),
            len => {
                frames.extend([first_byte, 0xFF]);
                frames.extend((len as u64).to_be_bytes());
            }
        }
        frames.resize(frames.len() + 4 + size / 4, 0);
    }
    let header = [126, 65_536].iter().filter(|least| size >= **least).count();
    let mut echo = vec![0; [2, 4, 10][header] + size];
    for _ in 0..count {
        peer.write_all(&frames).await.unwrap();
        peer.read_exact(&mut echo).await.unwrap();
    }
}

/// One test, because the allocator counts those of all threads.
#[tokio::test(start_paused = true)]
async fn memory_is_given_back_and_no_message_allocates() {
    // The pipes allocate when bytes wait in them.
    let mut peers = vec![];
    let mut tasks = vec![];
    for _ in 0..10 {
        let (ours, theirs) = duplex(2 << 20);
        tasks.push(tokio::spawn(echo(open(ours, Settings::new()))));
        peers.push(theirs);
    }
    for peer in &mut peers {
        // The pipe grows to its size.
        exchange(peer, 1 << 20, 2).await;
    }
    tokio::time::sleep(Duration::from_secs(9)).await;
    let small = LIVE.load(SeqCst);
    for size in [1 << 20, 100_000] {
        for peer in &mut peers {
            exchange(peer, size, 2).await;
        }
        let grown = LIVE.load(SeqCst) - small;
        tokio::time::sleep(Duration::from_secs(9)).await;
        let kept = LIVE.load(SeqCst).saturating_sub(small);
        assert!(grown > 10 * size / 2, "{grown}");
        assert!(kept < 10 * 100, "{kept} bytes of {grown}");
    }

    // What an idle connection has beside its task and its stream.
    exchange(&mut peers[0], 100, 10).await;
    let before = ALLOCATIONS.load(SeqCst);
    exchange(&mut peers[0], 100, 1).await;
    let of_exchange = ALLOCATIONS.load(SeqCst) - before;
    exchange(&mut peers[0], 100, 100).await;
    let more = ALLOCATIONS.load(SeqCst) - before - of_exchange;
    assert!(more <= of_exchange, "{more} allocations for 100 messages, {of_exchange} for one");
    assert!(size_of::<ServerSocket<DuplexStream>>() <= 1024, "{}", size_of::<ServerSocket<DuplexStream>>());
}
