// A Wisp server, version 1, on the WebSockets of gws: gws-server --listen HOST:PORT. For tests on loopback: it connects to
// whatever it is asked for.
package main

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/lxzan/gws"
)

const (
	typeConnect  = 1
	typeData     = 2
	typeContinue = 3
	typeClose    = 4

	streamTCP = 1
	streamUDP = 2

	headerBytes = 5

	voluntary    = 0x02
	networkError = 0x03
	invalid      = 0x41
	unreachable  = 0x42
	timedOut     = 0x43
	refused      = 0x44

	// What a stream may send at first, and how often it is told that it may go on.
	credit      = 128
	creditEvery = credit / 2
	// Credit says nothing of what is under way when it is given: each CONTINUE on its way may let as much again come.
	queueSize = 64 * credit

	maxStreams    = 1024
	maxMessage    = 1 << 25
	chunkBytes    = 16 * 1024
	datagramBytes = 65536
	connectLimit  = 10 * time.Second
)

// A client: one WebSocket, whose messages come one after the other.
type client struct {
	socket  *gws.Conn
	writing sync.Mutex // gws takes one message at a time

	mutex   sync.Mutex
	streams map[uint32]*stream
}

// What came for a stream, until it is over.
type stream struct {
	queue chan []byte
	over  chan struct{}
	once  sync.Once
}

func (s *stream) end() {
	s.once.Do(func() { close(s.over) })
}

func (c *client) send(kind byte, id uint32, payload []byte) error {
	packet := make([]byte, headerBytes, headerBytes+len(payload))
	packet[0] = kind
	binary.LittleEndian.PutUint32(packet[1:], id)
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.socket.WriteMessage(gws.OpcodeBinary, append(packet, payload...))
}

func (c *client) sendCredit(id uint32, packets int) error {
	var payload [4]byte
	binary.LittleEndian.PutUint32(payload[:], uint32(packets))
	return c.send(typeContinue, id, payload[:])
}

// take reads a packet. What is wrong with it ends the connection.
func (c *client) take(packet []byte) error {
	if len(packet) < headerBytes {
		return errors.New("a packet that is too short")
	}
	id, payload := binary.LittleEndian.Uint32(packet[1:]), packet[headerBytes:]
	c.mutex.Lock()
	defer c.mutex.Unlock()
	known := c.streams[id]
	switch {
	case packet[0] == typeConnect && len(payload) >= 3:
		if known != nil || len(c.streams) == maxStreams {
			return errors.New("too many streams, or one id for two")
		}
		s := &stream{queue: make(chan []byte, queueSize), over: make(chan struct{})}
		c.streams[id] = s
		go c.serve(s, id, payload)
	case packet[0] == typeData:
		if known == nil {
			return nil
		}
		select {
		case known.queue <- payload:
		default:
			return errors.New("more than there was credit for")
		}
	case packet[0] == typeClose:
		if known != nil {
			close(known.queue)
			delete(c.streams, id)
		}
	default:
		return errors.New("a packet that a client does not send")
	}
	return nil
}

// serve is one stream, from its CONNECT to its end.
func (c *client) serve(s *stream, id uint32, connect []byte) {
	reason := byte(voluntary)
	socket, err := dial(connect[0], string(connect[3:]), binary.LittleEndian.Uint16(connect[1:]))
	if err != nil {
		reason = reasonFor(err)
	} else {
		_, isTCP := socket.(*net.TCPConn)
		reasons := make(chan byte, 2)
		go func() { reasons <- c.download(id, socket, isTCP) }()
		go func() { reasons <- c.upload(s, id, socket, isTCP) }()
		reason = <-reasons
		s.end()
		socket.Close()
	}
	c.mutex.Lock()
	if c.streams[id] == s {
		delete(c.streams, id)
	}
	c.mutex.Unlock()
	_ = c.send(typeClose, id, []byte{reason})
}

var errInvalid = errors.New("invalid")

func dial(kind byte, host string, port uint16) (net.Conn, error) {
	network, known := map[byte]string{streamTCP: "tcp", streamUDP: "udp"}[kind]
	if !known || host == "" {
		return nil, errInvalid
	}
	return net.DialTimeout(network, net.JoinHostPort(host, strconv.Itoa(int(port))), connectLimit)
}

func reasonFor(err error) byte {
	var timeout net.Error
	switch {
	case errors.Is(err, errInvalid):
		return invalid
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused
	case errors.As(err, &timeout) && timeout.Timeout():
		return timedOut
	default:
		return unreachable
	}
}

func (c *client) download(id uint32, socket net.Conn, isTCP bool) byte {
	size := chunkBytes
	if !isTCP {
		size = datagramBytes
	}
	chunk := make([]byte, size)
	for {
		n, err := socket.Read(chunk)
		if n > 0 && c.send(typeData, id, chunk[:n]) != nil {
			return networkError
		}
		if errors.Is(err, io.EOF) {
			return voluntary
		}
		if err != nil && isTCP {
			return networkError
		}
		if errors.Is(err, net.ErrClosed) {
			return voluntary
		}
	}
}

// upload ends when the client has closed the stream and all of it is written, or when the stream is over.
func (c *client) upload(s *stream, id uint32, socket net.Conn, isTCP bool) byte {
	for taken := 1; ; taken++ {
		var data []byte
		var open bool
		select {
		case data, open = <-s.queue:
		case <-s.over:
		}
		if !open {
			return voluntary
		}
		_, err := socket.Write(data)
		if !isTCP {
			continue // datagrams have no credit, and may be lost
		}
		if err != nil {
			return networkError
		}
		if taken%creditEvery == 0 && c.sendCredit(id, max0(credit-len(s.queue))) != nil {
			return voluntary
		}
	}
}

func max0(n int) int {
	if n < 0 {
		return 0
	}
	return n
}

// handler hands over what gws finds.
type handler struct {
	gws.BuiltinEventHandler
	clients sync.Map
}

func (h *handler) OnOpen(socket *gws.Conn) {
	c := &client{socket: socket, streams: map[uint32]*stream{}}
	h.clients.Store(socket, c)
	_ = c.sendCredit(0, credit)
}

func (h *handler) OnClose(socket *gws.Conn, err error) {
	found, ok := h.clients.LoadAndDelete(socket)
	if !ok {
		return
	}
	c := found.(*client)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for id, s := range c.streams {
		close(s.queue)
		delete(c.streams, id)
	}
}

func (h *handler) OnPing(socket *gws.Conn, payload []byte) {
	_ = socket.WritePong(payload)
}

func (h *handler) OnMessage(socket *gws.Conn, message *gws.Message) {
	defer message.Close()
	found, ok := h.clients.Load(socket)
	if !ok || message.Opcode != gws.OpcodeBinary {
		return
	}
	// gws uses the message's bytes again when it is closed.
	packet := append([]byte(nil), message.Bytes()...)
	if err := found.(*client).take(packet); err != nil {
		fmt.Println("a connection has ended:", err)
		socket.WriteClose(1002, []byte(err.Error()))
	}
}

func run(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	upgrader := gws.NewUpgrader(&handler{}, &gws.ServerOption{ReadMaxPayloadSize: maxMessage})
	fmt.Println("listening on", listener.Addr())
	return http.Serve(listener, http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		socket, err := upgrader.Upgrade(writer, request)
		if err != nil {
			fmt.Println("no WebSocket:", err)
			return
		}
		go socket.ReadLoop()
	}))
}

func main() {
	address := flag.String("listen", "127.0.0.1:0", "HOST:PORT")
	flag.Parse()
	if err := run(*address); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
