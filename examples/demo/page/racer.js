// A worker that receives the updates in three ways at once, and records the arrival times.

const now = () => performance.timeOrigin + performance.now();
const transports = ["poll", "longPoll", "push"];
/** The latest update of each transport. */
const seen = { poll: 0, longPoll: 0, push: 0 };
let samples = [];
let stopping = new AbortController();
let socket;

function take(transport, updates) {
  const got = now();
  for (const { id, at } of updates) {
    if (id <= seen[transport]) continue;
    seen[transport] = id;
    samples.push({ transport, at, got });
  }
}

async function fetchUpdates(transport, path) {
  const response = await fetch(`${path}&after=${seen[transport]}`, { signal: stopping.signal });
  if (response.status === 200) take(transport, await response.json());
}

async function longPoll(session) {
  while (!stopping.signal.aborted) await fetchUpdates("longPoll", `/race/long-poll?session=${session}`);
}

async function poll(session, interval) {
  for (let turn = now() + interval; !stopping.signal.aborted; turn += interval) {
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, turn - now())));
    if (!stopping.signal.aborted) await fetchUpdates("poll", `/race/poll?session=${session}`);
  }
}

onmessage = ({ data: { begin, session, interval, stop } }) => {
  if (begin) {
    socket = new WebSocket(`${location.origin.replace("http", "ws")}/race/push?session=${session}`);
    socket.onmessage = ({ data }) => take("push", [JSON.parse(data)]);
    socket.onopen = () => {
      postMessage({ ready: true });
      const fail = (error) => stopping.signal.aborted || postMessage({ failed: String(error) });
      poll(session, interval).catch(fail);
      longPoll(session).catch(fail);
    };
    socket.onerror = () => postMessage({ failed: "the WebSocket failed" });
    setInterval(() => {
      postMessage({ samples, least: Math.min(...transports.map((transport) => seen[transport])) });
      samples = [];
    }, 100);
  } else if (stop) {
    stopping.abort();
    socket.close();
  }
};
