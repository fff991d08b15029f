// The server that control.mjs describes, on gorilla/websocket and one thread for Go code.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"

	"github.com/gorilla/websocket"
)

var settings struct {
	Kind           string
	Deflate        bool
	MaxMessageSize int64
	Cert, Key      string
}

var upgrader websocket.Upgrader

// client has a lock because gorilla allows one writer at a time, and a broadcast comes from any connection.
type client struct {
	conn *websocket.Conn
	lock sync.Mutex
}

var (
	everyone     = map[*client]bool{}
	everyoneLock sync.RWMutex
)

func broadcast(kind int, data []byte) error {
	message, err := websocket.NewPreparedMessage(kind, data)
	if err != nil {
		return err
	}
	everyoneLock.RLock()
	defer everyoneLock.RUnlock()
	for one := range everyone {
		one.lock.Lock()
		one.conn.WritePreparedMessage(message)
		one.lock.Unlock()
	}
	return nil
}

func (c *client) answer() error {
	if settings.Kind == "json" {
		var value any
		if err := c.conn.ReadJSON(&value); err != nil {
			return err
		}
		return c.conn.WriteJSON(value)
	}
	kind, data, err := c.conn.ReadMessage()
	if err != nil {
		return err
	}
	if settings.Kind == "broadcast" {
		return broadcast(kind, data)
	}
	return c.conn.WriteMessage(kind, data)
}

func handle(w http.ResponseWriter, r *http.Request) {
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	conn.SetReadLimit(settings.MaxMessageSize)
	if settings.Deflate {
		conn.SetCompressionLevel(1)
	}
	c := &client{conn: conn}
	everyoneLock.Lock()
	everyone[c] = true
	everyoneLock.Unlock()
	for err == nil {
		err = c.answer()
	}
	everyoneLock.Lock()
	delete(everyone, c)
	everyoneLock.Unlock()
}

func main() {
	if err := json.Unmarshal([]byte(os.Args[1]), &settings); err != nil {
		log.Fatal(err)
	}
	upgrader.EnableCompression = settings.Deflate
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("{\"port\":%d}\n", listener.Addr().(*net.TCPAddr).Port)
	go func() {
		if settings.Cert == "" {
			log.Fatal(http.Serve(listener, http.HandlerFunc(handle)))
		}
		log.Fatal(http.ServeTLS(listener, http.HandlerFunc(handle), settings.Cert, settings.Key))
	}()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		debug.FreeOSMemory()
		fmt.Println(`{"gc":true}`)
	}
}
