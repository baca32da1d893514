package shimcheck_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

// at applies a change to the replies of an op.
func at(op string, change func(request, reply object)) func(*running, object, object) {
	return func(_ *running, request, reply object) {
		if request["op"] == op {
			change(request, reply)
		}
	}
}

// giving applies a change to the requests of an op.
func giving(op string, change func(request object)) func(*running, object) {
	return func(_ *running, request object) {
		if request["op"] == op {
			change(request)
		}
	}
}

// sent applies a change to each datagram that is put out.
func sent(change func(datagram object)) func(*running, object, object) {
	return func(_ *running, _, reply object) {
		for _, o := range objects(reply, "outputs") {
			if d, ok := o["datagram"].(object); ok {
				change(d)
			}
		}
	}
}

func reverse(o object, field string) {
	if list, ok := o[field].([]any); ok {
		slices.Reverse(list)
	}
}

func count(n int64) json.Number { return json.Number(fmt.Sprint(n)) }

var hexDigits = regexp.MustCompile(`^([0-9a-f]{2})*$`)

var badForms = []bad{
	{name: "kind that is none", kills: "hello/fields",
		reply: at("hello", func(_, r object) { r["kind"] = "fast" })},
	{name: "lack without reason", kills: "hello/lacks", reply: at("hello", func(_, r object) {
		r["capabilities"] = slices.DeleteFunc(r["capabilities"].([]any), func(w any) bool { return w == "load" })
	})},
	{name: "wrong id", kills: "framing/one-line",
		reply: at("packets", func(_, r object) { r["id"] = count(number(r, "id") + 1) })},
	{name: "parses by hand", kills: "framing/any-json", raw: func(b *running, line string) (string, bool, error) {
		return `{"id":0,"error":"syntax"}`, strings.HasPrefix(line, "{ "), nil
	}},
	{name: "short buffer", kills: "framing/long-line", raw: func(b *running, line string) (string, bool, error) {
		return `{"id":0,"error":"line too long"}`, len(line) > 500_000, nil
	}},
	{name: "counts for itself", kills: "ids/echo", reply: func() func(*running, object, object) {
		return func(b *running, _, r object) {
			b.now[""]++
			r["id"] = count(b.now[""])
		}
	}()},
	{name: "knows all fields", kills: "fields/unknown", raw: func(b *running, line string) (string, bool, error) {
		return `{"id":0,"error":"what is future?"}`, strings.Contains(line, `"future"`), nil
	}},
	{name: "field too many", kills: "fields/reply", reply: at("advance", func(_, r object) { r["took"] = count(1) })},
	{name: "unknown op is an error", kills: "op/unknown", reply: at("fly-to-the-moon", func(_, r object) {
		delete(r, "unsupported")
		r["error"] = "what?"
	})},
	{name: "unknown op moves time", kills: "op/unknown", raw: func(b *running, line string) (string, bool, error) {
		if r := parse(line); r != nil && r["op"] == "fly-to-the-moon" {
			_, err := b.good(write(object{"id": 1, "op": "advance", "instance": r["instance"], "until": r["at"]}))
			return `{"id":0,"unsupported":"no moon"}`, true, err
		}
		return "", false, nil
	}},
	{name: "dies of what is no JSON", kills: "errors/not-json", raw: func(_ *running, line string) (string, bool, error) {
		if parse(line) == nil {
			return "", false, errors.New("panic")
		}
		return "", false, nil
	}},
	{name: "takes any digits", kills: "errors/bytes", request: giving("datagrams", func(r object) {
		for _, d := range objects(r, "datagrams") {
			if !hexDigits.MatchString(d["bytes"].(string)) {
				d["bytes"] = ""
			}
		}
	})},
	{name: "opens twice", kills: "errors/instance", reply: at("open", func(_, r object) {
		if e, _ := r["error"].(string); strings.Contains(e, "open already") {
			delete(r, "error")
		}
	})},
	{name: "forgives the past", kills: "errors/time", request: func(b *running, r object) {
		for _, f := range []string{"at", "until"} {
			if r[f] != nil && number(r, f) < b.now[r["instance"].(string)] {
				r[f] = count(b.now[r["instance"].(string)])
			}
		}
	}},
}

var badTimes = []bad{
	{name: "begins late", kills: "time/zero", reply: at("open", func(_, r object) { r["now"] = count(1) })},
	{name: "no now", kills: "time/now", reply: at("state", func(_, r object) { delete(r, "now") })},
	{name: "newest first", kills: "time/outputs", reply: at("advance", func(_, r object) { reverse(r, "outputs") })},
	{name: "nothing put out", kills: "time/output-kinds", reply: at("state", func(_, r object) {
		r["outputs"] = []any{object{"at": r["now"]}}
	})},
	{name: "deadline too late", kills: "time/deadline", reply: func(_ *running, _, r object) {
		if r["deadline"] != nil {
			r["deadline"] = count(number(r, "deadline") + 1e9)
		}
	}},
	{name: "deadline past", kills: "time/deadline", reply: func(_ *running, _, r object) {
		if r["deadline"] != nil {
			r["deadline"] = count(-1)
		}
	}},
	{name: "no pause", kills: "time/pause", request: giving("advance", func(r object) { delete(r, "pause") })},
	{name: "real time", kills: "time/idle", request: giving("advance", func(r object) {
		if number(r, "until") > 1000e9 {
			time.Sleep(2 * idle)
		}
	})},
}

var badTraffic = []bad{
	{name: "another port", kills: "datagrams/answer", reply: sent(func(d object) {
		d["local"] = strings.Replace(d["local"].(string), ":51820", ":1", 1)
	})},
	{name: "datagrams backwards", kills: "datagrams/order",
		request: giving("datagrams", func(r object) { reverse(r, "datagrams") })},
	{name: "no empty datagram", kills: "datagrams/any-length", reply: at("datagrams", func(request, r object) {
		for _, d := range objects(request, "datagrams") {
			if d["bytes"] == "" {
				r["error"] = "empty"
			}
		}
	})},
	{name: "padding stays", kills: "packets/in", reply: func(_ *running, _, r object) {
		for _, o := range objects(r, "outputs") {
			if p, ok := o["packet"].(string); ok {
				o["packet"] = p + "00"
			}
		}
	}},
	{name: "packets lost", kills: "packets/out",
		reply: at("packets", func(_, r object) { delete(r, "outputs") })},
	{name: "packets backwards", kills: "packets/order",
		request: giving("packets", func(r object) { reverse(r, "packets") })},
	{name: "TOS hidden", kills: "tos/shown", reply: sent(func(d object) { delete(d, "tos") })},
	{name: "deaf to IPv6", kills: "ipv6/answer", request: giving("datagrams", func(r object) {
		if list := objects(r, "datagrams"); len(list) > 0 && strings.HasPrefix(list[0]["remote"].(string), "[") {
			r["datagrams"] = []any{}
		}
	})},
}

var badInstances = []bad{
	{name: "one clock for all", kills: "instances/apart", raw: func(b *running, line string) (string, bool, error) {
		r := parse(line)
		if r == nil || r["op"] != "advance" {
			return "", false, nil
		}
		for _, name := range b.names {
			if name == r["instance"] {
				continue
			}
			if _, err := b.good(write(object{"id": 1, "op": "advance", "instance": name, "until": r["until"]})); err != nil {
				return "", false, err
			}
		}
		return "", false, nil
	}},
	{name: "never closes", kills: "close/gone", raw: func(b *running, line string) (string, bool, error) {
		r := parse(line)
		return `{"id":` + fmt.Sprint(number(r, "id")) + `}`, r != nil && r["op"] == "close", nil
	}},
	{name: "seed of its own", kills: "seed/same", request: func(b *running, r object) {
		if r["op"] == "open" {
			r["seed"] = fmt.Sprintf("%016x", b.opens)
		}
	}},
	{name: "no seed", kills: "seed/other", request: giving("open", func(r object) { r["seed"] = "0000000000000000" })},
	{name: "ends badly", kills: "end/exit", end: func(io.Writer) error { return errors.New("exit status 1") }},
	{name: "last word", kills: "end/exit", end: func(out io.Writer) error {
		_, err := io.WriteString(out, "bye\n")
		return err
	}},
}

var badOps = []bad{
	{name: "says what it cannot", kills: "capabilities/said", reply: at("addresses", func(_, r object) {
		r["unsupported"] = "no"
	})},
	{name: "can what it does not say", kills: "capabilities/unsaid", reply: at("hello", func(_, r object) {
		r["capabilities"] = slices.DeleteFunc(r["capabilities"].([]any), func(w any) bool { return w == "addresses" })
		r["lacks"] = object{"addresses": "none"}
	})},
	{name: "removes nobody", kills: "configure/peer", request: giving("configure", func(r object) {
		for _, p := range objects(r["change"].(object), "peers") {
			delete(p, "remove")
		}
	})},
	{name: "restarts nothing", kills: "restart/forgets", request: giving("restart", func(r object) {
		r["op"], r["until"] = "advance", r["at"]
	})},
	{name: "counts nothing", kills: "state/shows", reply: at("state", func(_, r object) {
		if s, ok := r["state"].(object); ok {
			for _, p := range objects(s, "peers") {
				p["rx"] = count(0)
			}
		}
	})},
	{name: "wall clock stands", kills: "wall/shown", request: giving("wall", func(r object) {
		r["op"], r["until"] = "advance", r["at"]
	})},
	{name: "wall clock of its own", kills: "wall/shown", request: giving("open", func(r object) {
		r["wall"] = object{"s": count(0), "ns": count(0)}
	})},
	{name: "one connection", kills: "uapi/talks", request: giving("uapi", func(r object) { r["connection"] = count(1) })},
	{name: "no load by a flood", kills: "load/model", request: giving("datagrams", func(r object) {
		if len(objects(r, "datagrams")) > 1000 {
			r["datagrams"] = []any{}
		}
	}),
		reply: at("hello", func(_, r object) {
			r["capabilities"] = slices.DeleteFunc(r["capabilities"].([]any), func(w any) bool { return w == "work" })
			r["lacks"] = object{"work": "none"}
		})},
	{name: "no load", kills: "load/model", request: giving("open", func(r object) { delete(r, "handshakeTime") })},
}
