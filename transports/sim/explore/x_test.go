package explore

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

func TestX(t *testing.T) {
	from, _ := strconv.Atoi(os.Getenv("FROM"))
	to, _ := strconv.Atoi(os.Getenv("TO"))
	for s := from; s <= to; s++ {
		b := time.Now()
		o, err := Run(Draw(uint64(s)), Options{})
		if err != nil {
			t.Errorf("%d: %v", s, err)
			continue
		}
		ex := ""
		for _, l := range o.Result.Liveness {
			if l.Exempt != "" {
				ex += " " + l.Exempt
			}
		}
		fmt.Println(s, o.Hosts, o.Result.Virtual, o.Result.Events, o.Result.Datagrams, time.Since(b).Round(time.Millisecond), len(o.Result.Liveness), ex)
		for i, v := range o.Violations {
			if i < 3 {
				fmt.Println("   ", time.Duration(v.At), v.Host, v.Checker, v.Text)
			}
		}
	}
}

func TestS(t *testing.T) {
	s, _ := strconv.Atoi(os.Getenv("FROM"))
	o, err := Run(Draw(uint64(s)), Options{})
	if err != nil || !o.Failed() {
		t.Fatal(err, o)
	}
	c := o.Checker()
	if e := os.Getenv("CHECKER"); e != "" {
		c = e
	}
	b := time.Now()
	x := Shrink(o.File, Options{}, c)
	text, err := x.File.Marshal()
	fmt.Println(string(text), err)
	fmt.Println(x.Checker, x.At, x.Tries, x.Events, x.Done, time.Since(b))
	os.WriteFile(fmt.Sprintf("/tmp/x-%d.yaml", s), text, 0o644)
}
