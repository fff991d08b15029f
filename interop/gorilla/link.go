package main

import (
	"errors"
	"io"
	"time"

	"github.com/gorilla/websocket"
)

// message is text or binary, whichever is there.
type message struct {
	Text   *string `json:"text,omitempty"`
	Binary []byte  `json:"binary,omitempty"`
}

func (m message) parts() (int, []byte) {
	if m.Text != nil {
		return websocket.TextMessage, []byte(*m.Text)
	}
	return websocket.BinaryMessage, m.Binary
}

type received struct {
	kind int
	data []byte
}

// link is a connection that is being read all the time, as gorilla answers control frames only then.
type link struct {
	conn     *websocket.Conn
	messages chan received
	pongs    chan struct{}
	// Closed at the end, when code and reason are those of the Close frame that came; 1006 for none.
	ended  chan struct{}
	code   int
	reason string
}

func newLink(conn *websocket.Conn, maxSize int64) *link {
	l := &link{
		conn:     conn,
		messages: make(chan received, 1024),
		pongs:    make(chan struct{}, 16),
		ended:    make(chan struct{}),
	}
	conn.SetReadLimit(maxSize)
	conn.SetPongHandler(func(string) error {
		l.pongs <- struct{}{}
		return nil
	})
	go l.receive()
	return l
}

func (l *link) receive() {
	defer l.conn.Close()
	defer close(l.ended)
	defer close(l.messages)
	for {
		kind, data, err := l.conn.ReadMessage()
		if err != nil {
			l.code = websocket.CloseAbnormalClosure
			var closed *websocket.CloseError
			if errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure {
				l.code, l.reason = closed.Code, closed.Text
			}
			return
		}
		l.messages <- received{kind, data}
	}
}

var errEnded = errors.New("the connection has ended")

func (l *link) next() (received, error) {
	next, ok := <-l.messages
	if !ok {
		return next, errEnded
	}
	return next, nil
}

func (l *link) read() (any, error) {
	next, err := l.next()
	if err != nil {
		return nil, err
	}
	if next.kind == websocket.TextMessage {
		return map[string]string{"text": string(next.data)}, nil
	}
	// encoding/json writes bytes as base64.
	return map[string][]byte{"binary": next.data}, nil
}

func (l *link) echo(count int) error {
	for i := 0; i < count; i++ {
		next, err := l.next()
		if err != nil {
			return err
		}
		if err := l.conn.WriteMessage(next.kind, next.data); err != nil {
			return err
		}
	}
	return nil
}

func (l *link) send(m message) error {
	return l.conn.WriteMessage(m.parts())
}

// sendFragments writes piece by piece into one message; gorilla sends a frame whenever its buffer is full.
func (l *link) sendFragments(pieces []message) error {
	kind, _ := pieces[0].parts()
	writer, err := l.conn.NextWriter(kind)
	if err != nil {
		return err
	}
	for i, piece := range pieces {
		_, data := piece.parts()
		if _, err := writer.Write(data); err != nil {
			return err
		}
		// In the midst of it, once frames have left.
		if i == len(pieces)/2 {
			if err := l.ping(); err != nil {
				return err
			}
		}
	}
	return writer.Close()
}

func (l *link) sendPrepared(m message) error {
	prepared, err := websocket.NewPreparedMessage(m.parts())
	if err != nil {
		return err
	}
	// Twice: the second time it comes from where it was kept.
	for i := 0; i < 2; i++ {
		if err := l.conn.WritePreparedMessage(prepared); err != nil {
			return err
		}
	}
	return nil
}

func (l *link) control(kind int, data []byte) error {
	return l.conn.WriteControl(kind, data, time.Now().Add(10*time.Second))
}

func (l *link) ping() error {
	if err := l.control(websocket.PingMessage, []byte("ping of gorilla")); err != nil {
		return err
	}
	select {
	case <-l.pongs:
		return nil
	case <-l.ended:
		return io.ErrUnexpectedEOF
	}
}

func (l *link) close(code *int, reason string) error {
	if code == nil {
		return l.control(websocket.CloseMessage, nil)
	}
	return l.control(websocket.CloseMessage, websocket.FormatCloseMessage(*code, reason))
}
