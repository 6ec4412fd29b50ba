// Peers that compress: gorilla/websocket and nhooyr.io/websocket, each as client and as server.
//
// deflate_go gorilla|nhooyr client URL [TAKEOVER]
// deflate_go gorilla|nhooyr server [TAKEOVER]
//
// As deflate.py, without windows. gorilla never has context takeover.
package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"math/rand"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	gorilla "github.com/gorilla/websocket"
	nhooyr "nhooyr.io/websocket"
)

// In both libraries, the types of text and binary messages have the opcodes' values.
const (
	text     = 1
	binary   = 2
	messages = 1000
)

func message(number int) (int, []byte) {
	switch {
	case number == 507:
		return binary, random(70_000)
	case number == 509:
		return text, []byte(fmt.Sprint(rand.Perm(15_000)))
	case number%10 == 7:
		return binary, random(number % 300)
	case number%10 == 8:
		return text, []byte(strings.Repeat("grün, 値段, 😀 ", number%400))
	case number%10 == 9:
		return text, nil
	}
	return text, []byte(fmt.Sprintf(`{"sensor": %d, "temperature": %f, "number": %d}`, number%20, rand.Float64()*40, number))
}

func random(size int) []byte {
	data := make([]byte, size)
	rand.Read(data)
	return data
}

type connection interface {
	// Writes a message, and flushes a part of it before the rest.
	write(kind int, first, rest []byte) error
	read() (int, []byte, error)
	// Begins a Ping.
	ping()
	// Waits for the Pongs, and closes the connection.
	close(pings int) error
}

func exchange(connection connection) {
	pings, total := 0, 0
	for number := 0; number < messages; number++ {
		if number%16 == 0 {
			connection.ping()
			pings++
		}
		kind, sent := message(number)
		total += len(sent)
		check(connection.write(kind, sent[:len(sent)/3], sent[len(sent)/3:]))
		same, echo, err := connection.read()
		check(err)
		if same != kind || !bytes.Equal(echo, sent) {
			log.Fatalf("%d: %d %.80q instead of %d %.80q", number, same, echo, kind, sent)
		}
	}
	check(connection.close(pings))
	fmt.Printf("%d messages, %d bytes\n", messages, total)
}

type gorillaConnection struct {
	*gorilla.Conn
	pongs *int
}

func newGorilla(conn *gorilla.Conn) connection {
	pongs := 0
	conn.SetPongHandler(func(string) error { pongs++; return nil })
	return gorillaConnection{conn, &pongs}
}

func (c gorillaConnection) write(kind int, first, rest []byte) error {
	check(c.SetCompressionLevel(1 + len(rest)%9))
	// Its frames have at most the size of the write buffer.
	writer, err := c.NextWriter(kind)
	check(err)
	_, err = writer.Write(first)
	check(err)
	_, err = writer.Write(rest)
	check(err)
	return writer.Close()
}

func (c gorillaConnection) read() (int, []byte, error) { return c.ReadMessage() }

func (c gorillaConnection) ping() {
	check(c.WriteControl(gorilla.PingMessage, []byte("ping"), time.Now().Add(time.Minute)))
}

func (c gorillaConnection) close(pings int) error {
	if *c.pongs != pings {
		log.Fatalf("%d Pongs for %d Pings", *c.pongs, pings)
	}
	return closeGorilla(c.Conn)
}

func closeGorilla(conn *gorilla.Conn) error {
	code := gorilla.FormatCloseMessage(gorilla.CloseNormalClosure, "")
	check(conn.WriteControl(gorilla.CloseMessage, code, time.Now().Add(time.Minute)))
	for {
		if _, _, err := conn.ReadMessage(); gorilla.IsCloseError(err, gorilla.CloseNormalClosure) {
			return conn.Close()
		} else if err != nil {
			return err
		}
	}
}

type nhooyrConnection struct {
	*nhooyr.Conn
	pongs chan error
}

func newNhooyr(conn *nhooyr.Conn) connection {
	conn.SetReadLimit(1 << 20)
	return nhooyrConnection{conn, make(chan error, messages)}
}

var background = context.Background()

func (c nhooyrConnection) write(kind int, first, rest []byte) error {
	writer, err := c.Writer(background, nhooyr.MessageType(kind))
	check(err)
	_, err = writer.Write(first)
	check(err)
	_, err = writer.Write(rest)
	check(err)
	return writer.Close()
}

func (c nhooyrConnection) read() (int, []byte, error) {
	kind, message, err := c.Read(background)
	return int(kind), message, err
}

func (c nhooyrConnection) ping() {
	go func() { c.pongs <- c.Ping(background) }()
}

func (c nhooyrConnection) close(pings int) error {
	c.CloseRead(background)
	for ; pings > 0; pings-- {
		check(<-c.pongs)
	}
	return c.Close(nhooyr.StatusNormalClosure, "")
}

func main() {
	log.SetFlags(0)
	arguments := append(os.Args[1:], "", "", "")
	library, role := arguments[0], arguments[1]
	if role == "client" {
		url, mode := arguments[2], modeOf(arguments[3])
		switch library {
		case "gorilla":
			dialer := gorilla.Dialer{EnableCompression: true, WriteBufferSize: 512}
			conn, response, err := dialer.Dial(url, nil)
			check(err)
			checkCompression(response.Header)
			exchange(newGorilla(conn))
		case "nhooyr":
			options := nhooyr.DialOptions{CompressionMode: mode, CompressionThreshold: 1}
			conn, response, err := nhooyr.Dial(background, url, &options)
			check(err)
			checkCompression(response.Header)
			exchange(newNhooyr(conn))
		}
		return
	}
	mode := modeOf(arguments[2])
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Printf("listening on %s\n", listener.Addr())
	check(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve(library, mode, w, r)
	})))
}

func serve(library string, mode nhooyr.CompressionMode, w http.ResponseWriter, r *http.Request) {
	count, run := strings.Contains(r.URL.Path, "getCaseCount"), strings.Contains(r.URL.Path, "runCase")
	switch library {
	case "gorilla":
		upgrader := gorilla.Upgrader{EnableCompression: true, WriteBufferSize: 512}
		conn, err := upgrader.Upgrade(w, r, nil)
		check(err)
		if run {
			exchange(newGorilla(conn))
			return
		}
		if count {
			check(conn.WriteMessage(text, []byte("1")))
		}
		check(closeGorilla(conn))
	case "nhooyr":
		options := nhooyr.AcceptOptions{CompressionMode: mode, CompressionThreshold: 1}
		conn, err := nhooyr.Accept(w, r, &options)
		check(err)
		if run {
			checkCompression(w.Header())
			exchange(newNhooyr(conn))
			return
		}
		if count {
			check(conn.Write(background, text, []byte("1")))
		}
		check(conn.Close(nhooyr.StatusNormalClosure, ""))
	}
}

func modeOf(takeover string) nhooyr.CompressionMode {
	if takeover == "no" {
		return nhooyr.CompressionNoContextTakeover
	}
	return nhooyr.CompressionContextTakeover
}

func checkCompression(header http.Header) {
	extensions := header.Get("Sec-WebSocket-Extensions")
	if !strings.Contains(extensions, "permessage-deflate") {
		log.Fatalf("no compression: %q", extensions)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
