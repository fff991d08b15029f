// A gorilla/websocket connection, led from outside: a command per line comes in as JSON, and an answer per line goes
// out, as in ../python/led.py. Ends with its input.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/gorilla/websocket"
)

type command struct {
	Do string

	URL          string
	Origin       string
	Headers      map[string]string
	Subprotocols []string
	Compression  bool
	MaxSize      int64 `json:"max_size"`
	WriteBuffer  int   `json:"write_buffer"`
	Refuse       bool
	CheckOrigin  bool `json:"check_origin"`

	message
	Fragments []message
	Count     int
	Code      *int
	Reason    string
}

type refused struct{ status int }

func (r refused) Error() string { return fmt.Sprintf("status %d", r.status) }

type peer struct {
	link     *link
	server   *http.Server
	accepted chan *link
}

func (p *peer) connect(c command) (any, error) {
	dialer := websocket.Dialer{
		Subprotocols:      c.Subprotocols,
		EnableCompression: c.Compression,
		WriteBufferSize:   c.WriteBuffer,
	}
	headers := http.Header{}
	for name, value := range c.Headers {
		headers.Set(name, value)
	}
	if c.Origin != "" {
		headers.Set("Origin", c.Origin)
	}
	conn, response, err := dialer.Dial(c.URL, headers)
	if errors.Is(err, websocket.ErrBadHandshake) {
		return nil, refused{response.StatusCode}
	}
	if err != nil {
		return nil, err
	}
	p.link = newLink(conn, c.MaxSize)
	// gorilla knows one extension.
	extensions := []string{}
	if value := response.Header.Get("Sec-WebSocket-Extensions"); value != "" {
		extensions = append(extensions, strings.SplitN(value, ";", 2)[0])
	}
	return opened(conn, extensions), nil
}

// opened says null for the extensions where gorilla does not tell.
func opened(conn *websocket.Conn, extensions []string) any {
	result := map[string]any{"subprotocol": nil, "extensions": extensions}
	if name := conn.Subprotocol(); name != "" {
		result["subprotocol"] = name
	}
	return result
}

func (p *peer) serve(c command) (any, error) {
	p.stop()
	upgrader := websocket.Upgrader{
		Subprotocols:      c.Subprotocols,
		EnableCompression: c.Compression,
		WriteBufferSize:   c.WriteBuffer,
	}
	if !c.CheckOrigin {
		upgrader.CheckOrigin = func(*http.Request) bool { return true }
	}
	accepted := p.accepted
	handle := func(w http.ResponseWriter, r *http.Request) {
		if c.Refuse {
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, "Who are you?")
			return
		}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err == nil {
			accepted <- newLink(conn, c.MaxSize)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p.server = &http.Server{Handler: http.HandlerFunc(handle)}
	go p.server.Serve(listener)
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func (p *peer) stop() {
	if p.server != nil {
		p.server.Close()
	}
}

func (p *peer) accept() (any, error) {
	p.link = <-p.accepted
	return opened(p.link.conn, nil), nil
}

func (p *peer) do(c command) (any, error) {
	switch c.Do {
	case "connect":
		return p.connect(c)
	case "serve":
		return p.serve(c)
	case "accept":
		return p.accept()
	}
	if p.link == nil {
		return nil, fmt.Errorf("%s: there is no connection", c.Do)
	}
	switch c.Do {
	case "send":
		return nil, p.link.send(c.message)
	case "send_fragments":
		return nil, p.link.sendFragments(c.Fragments)
	case "send_prepared":
		return nil, p.link.sendPrepared(c.message)
	case "send_as_text":
		return nil, p.link.conn.WriteMessage(websocket.TextMessage, c.Binary)
	case "read":
		return p.link.read()
	case "echo":
		return nil, p.link.echo(c.Count)
	case "ping":
		return nil, p.link.ping()
	case "close":
		return nil, p.link.close(c.Code, c.Reason)
	case "hang_up":
		return nil, p.link.conn.UnderlyingConn().Close()
	case "closed":
		<-p.link.ended
		return map[string]any{"code": p.link.code, "reason": p.link.reason}, nil
	}
	return nil, fmt.Errorf("no command %q", c.Do)
}

func answer(value any, err error) map[string]any {
	if err == nil {
		return map[string]any{"value": value}
	}
	result := map[string]any{"error": fmt.Sprintf("%T", err), "message": err.Error()}
	var refusal refused
	if errors.As(err, &refusal) {
		result["status"] = refusal.status
	}
	return result
}

func main() {
	input := json.NewDecoder(bufio.NewReader(os.Stdin))
	output := json.NewEncoder(os.Stdout)
	output.SetEscapeHTML(false)
	p := &peer{accepted: make(chan *link, 16)}
	defer p.stop()
	for {
		var c command
		if err := input.Decode(&c); err != nil {
			if err != io.EOF {
				fmt.Fprintln(os.Stderr, "gorilla peer:", err)
			}
			return
		}
		output.Encode(answer(p.do(c)))
	}
}
