//go:build capi

package main

// #include "arrow.h"
import "C"

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/ematix/ematix-flow/core"
)

// pending is a call between submit and take.
type pending struct {
	cancel   context.CancelFunc
	done     chan struct{}
	progress atomic.Pointer[core.Progress] // the newest that wait has not given yet

	reply  []byte // both are set when done is closed
	stream core.RecordStream
}

var (
	engine = core.New()
	calls  = table[*pending]{open: map[int64]*pending{}}
)

// flowSubmit starts a call and returns its handle, or 0. The texts are copied; the stream, or NULL, is owned from here on.
//
//export flowSubmit
func flowSubmit(name *C.char, nameLen C.size_t, message *C.char, messageLen C.size_t, input *C.struct_ArrowArrayStream) (handle C.longlong) {
	defer func() {
		if recover() != nil {
			handle = 0
		}
	}()
	op, text := C.GoStringN(name, C.int(nameLen)), C.GoBytes(unsafe.Pointer(message), C.int(messageLen))
	var reader core.RecordReader
	if input != nil {
		reader = core.ImportStream(unsafe.Pointer(input))
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &pending{cancel: cancel, done: make(chan struct{})}
	go p.run(ctx, op, text, reader)
	return C.longlong(calls.add(p))
}

// run does the call. Engine.Do recovers by itself; what is recovered here is a defect of the few lines around it.
func (p *pending) run(ctx context.Context, op string, text []byte, input core.RecordReader) {
	defer close(p.done)
	defer p.cancel()
	defer func() {
		if panicked := recover(); panicked != nil {
			_, p.reply = core.Recovered("the call of "+op, panicked)
		}
	}()
	if input != nil {
		defer input.Release()
	}
	p.reply, p.stream = engine.Do(ctx, op, text, input, func(now core.Progress) { p.progress.Store(&now) })
}

// flowWait waits until the call has ended, or for some milliseconds: 1 ended, 0 not yet, -1 there is no such call. news is set to the
// progress since the last wait, as JSON, or left alone.
//
//export flowWait
func flowWait(handle C.longlong, milliseconds C.longlong, news **C.char) (state C.int) {
	defer func() {
		if recover() != nil {
			state = -1
		}
	}()
	p := calls.get(int64(handle))
	if p == nil {
		return -1
	}
	select { // a call that has ended costs no timer
	case <-p.done:
		state = 1
	default:
		timer := time.NewTimer(time.Duration(milliseconds) * time.Millisecond)
		defer timer.Stop()
		select {
		case <-p.done:
			state = 1
		case <-timer.C:
		}
	}
	if now := p.progress.Swap(nil); now != nil {
		if text, err := json.Marshal(now); err == nil {
			*news = C.CString(string(text))
		}
	}
	return state
}

// flowCancel asks the call to end soon. One that has ended, or that nobody knows, is no error.
//
//export flowCancel
func flowCancel(handle C.longlong) {
	defer func() { _ = recover() }()
	if p := calls.get(int64(handle)); p != nil {
		p.cancel()
	}
}

// flowTake gives the answer of a call that has ended, and forgets the call: 1 with a stream, 0 without, -1 there is no such call or it goes on.
//
//export flowTake
func flowTake(handle C.longlong, reply **C.char, replyLen *C.size_t, stream *C.struct_ArrowArrayStream) (state C.int) {
	defer func() {
		if recover() != nil {
			state = -1
		}
	}()
	p := calls.get(int64(handle))
	if p == nil {
		return -1
	}
	select {
	case <-p.done:
	default:
		return -1
	}
	calls.remove(int64(handle))
	*reply, *replyLen = (*C.char)(C.CBytes(p.reply)), C.size_t(len(p.reply))
	if p.stream == nil {
		return 0
	}
	exportStream(p.stream, stream)
	return 1
}

// flowDrop forgets a call whether it has ended or not: it is cancelled, and what it answers is thrown away.
//
//export flowDrop
func flowDrop(handle C.longlong) {
	defer func() { _ = recover() }()
	p := calls.remove(int64(handle))
	if p == nil {
		return
	}
	p.cancel()
	end(p.done, func() {
		if p.stream != nil {
			closeStream(p.stream)
		}
	})
}

// ending are what nobody holds any more, and what servers may not have heard of yet.
var ending = table[<-chan struct{}]{open: map[int64]<-chan struct{}{}}

// end does something when done is closed; the end of the interpreter waits for it.
func end(done <-chan struct{}, then func()) {
	id := ending.add(done)
	go func() {
		defer func() { _ = recover() }()
		defer ending.remove(id)
		<-done
		then()
	}()
}

func closeStream(s core.RecordStream) {
	s.Close()
	end(s.Done(), func() {})
}

// shutdownPatience is how long the end of the interpreter waits for servers to hear of the cancellation.
const shutdownPatience = time.Second

// flowShutdown cancels every call and every stream, and waits a moment so that the servers get to know.
//
//export flowShutdown
func flowShutdown() {
	defer func() { _ = recover() }()
	for _, p := range calls.all() {
		p.cancel()
		end(p.done, func() {})
	}
	for _, s := range streams.all() {
		closeStream(s)
	}
	timeout := time.After(shutdownPatience)
	for {
		left := ending.all()
		if len(left) == 0 {
			return
		}
		for _, done := range left {
			select {
			case <-done:
			case <-timeout:
				return
			}
		}
		time.Sleep(time.Millisecond) // what has ended leaves the table in a moment, or puts its stream there
	}
}

// table gives numbers to what C holds on to: no Go pointer ever goes there.
type table[T any] struct {
	mu   sync.Mutex
	last int64
	open map[int64]T
}

func (t *table[T]) add(v T) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	t.open[t.last] = v
	return t.last
}

func (t *table[T]) get(id int64) T {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open[id]
}

func (t *table[T]) remove(id int64) T {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := t.open[id]
	delete(t.open, id)
	return v
}

func (t *table[T]) all() []T {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]T, 0, len(t.open))
	for _, v := range t.open {
		list = append(list, v)
	}
	return list
}
