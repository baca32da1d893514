package staging

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

const head, tail = 16, 31

// The queues of one device against lists of packets and a sum.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		budget := &Budget{Limit: rapid.IntRange(0, 2000).Draw(t, "bytes")}
		most := rapid.IntRange(0, 6).Draw(t, "packets")
		queues := make([]Queue, 3)
		models := make([][][]byte, len(queues))
		used := func() (n int) {
			for _, m := range models {
				for _, p := range m {
					n += head + len(p) + tail
				}
			}
			return n
		}
		check := func(q int) {
			if got := queues[q].Len(); got != len(models[q]) {
				t.Fatalf("queue %d holds %d packets, want %d", q, got, len(models[q]))
			}
			if budget.used != used() || budget.used > budget.Limit {
				t.Fatalf("%d bytes used of %d, the packets have %d", budget.used, budget.Limit, used())
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				q := rapid.IntRange(0, len(queues)-1).Draw(t, "queue")
				p := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "packet")
				lost := 0
				for len(models[q]) > 0 && (len(models[q]) >= most || used()+head+len(p)+tail > budget.Limit) {
					models[q], lost = models[q][1:], lost+1 // QUEUE-03: the oldest goes
				}
				if most < 1 || used()+head+len(p)+tail > budget.Limit {
					lost++
				} else {
					models[q] = append(models[q], bytes.Clone(p))
				}
				if got := queues[q].Push(budget, most, p, head, tail); got != lost {
					t.Fatalf("Push lost %d packets, want %d", got, lost)
				}
				clear(p) // the queue has its own copy
				check(q)
			},
			"take": func(t *rapid.T) {
				q := rapid.IntRange(0, len(queues)-1).Draw(t, "queue")
				taken := queues[q].Take(budget)
				if got, want := windows(taken), fmt.Sprint(models[q]); got != want {
					t.Fatalf("took %s, want %s", got, want) // QUEUE-01: in order
				}
				models[q] = nil
				check(q)
			},
		})
	})
}

func windows(bufs [][]byte) string {
	var packets [][]byte
	for _, b := range bufs {
		packets = append(packets, b[head:len(b)-tail])
	}
	return fmt.Sprint(packets)
}

// A queue and its clone share no byte.
func TestClone(t *testing.T) {
	budget := &Budget{Limit: 1000}
	var q Queue
	q.Push(budget, 8, []byte("one"), head, tail)
	c := q.Clone()
	copied := *budget
	clear(q.Take(budget)[0])
	if got := c.Take(&copied); len(got) != 1 || string(got[0][head:len(got[0])-tail]) != "one" || copied.used != 0 {
		t.Errorf("the clone has %q, and %d bytes in use afterwards", got, copied.used)
	}
}
