//go:build !js

package report

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/purewire/purewire/transports/sim"
	"github.com/purewire/purewire/transports/sim/gallery"
	"github.com/purewire/purewire/transports/sim/scenario"
)

// galleryPage writes the page of a scenario with the verdicts about what it expects.
func galleryPage(t *testing.T, name string, against *Run) string {
	t.Helper()
	f, err := gallery.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.Compile()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	h := NewHTML(&out, &c.Scenario, HTMLOptions{Seed: 1, Command: "wgsim run --scenario " + name + " --seed 1",
		Against: against})
	judge := scenario.NewJudge(c.Expect)
	usual := WithoutTimers(judge.Observe)
	run, err := sim.New(c.Scenario, sim.Options{Seed: 1, Trace: HTMLTrace, Observe: func(r *sim.Record) {
		h.Observe(r)
		usual(r)
	}})
	if err != nil {
		t.Fatal(err)
	}
	r := run.Run()
	r.Expectations = judge.Verdicts(&r)
	if err := h.Finish(&r); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name+".html")
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// What the page says of the time in view, and of the event that is selected.
const (
	rangeText  = `document.getElementById("range").textContent`
	detailText = `document.getElementById("detail").innerText`
)

// press gives the page a key as a user does, and waits for the frame after it.
func (v *visit) press(key string) {
	v.t.Helper()
	v.do(chromedp.KeyEvent(key))
	v.settle()
}

func (v *visit) settle() {
	v.t.Helper()
	get[bool](v, `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
}

// coloured counts the pixels of a canvas that are not of its commonest colour.
const coloured = `(id => {
	const c = document.getElementById(id), all = c.getContext("2d").getImageData(0, 0, c.width, c.height);
	const d = new Uint32Array(all.data.buffer), n = new Map();
	for (const p of d) n.set(p, (n.get(p) || 0) + 1);
	return d.length - Math.max(...n.values()); })`

func TestRoamingPageInBrowser(t *testing.T) {
	file := galleryPage(t, "roaming", nil)
	v := browse(t, file, 1600, 1010)
	for _, id := range []string{"top", "lanes", "plots"} {
		if n := get[int](v, coloured+`("`+id+`")`); n < 3000 {
			t.Errorf("canvas %s has %d pixels drawn", id, n)
		}
	}
	body := get[string](v, `document.body.innerText`)
	for _, want := range []string{"roaming", "seed 1", "wgsim run --scenario roaming --seed 1", "Expectations",
		"recover within 3s", "4 / 4", "17 / 17", "train up: loss", "REPLAY-01", "client leaves home"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	picture := v.shot("report.png")
	if img, err := png.Decode(bytes.NewReader(picture)); err != nil || img.Bounds().Dx() != 1600 {
		t.Errorf("the picture: %v", err)
	}
	v.search("lost") // one datagram is under way at the end, and not lost
	if n := get[string](v, `document.getElementById("found").textContent`); !strings.HasPrefix(n, "98 matches of ") ||
		!strings.Contains(body, "98 (4.3 %)") {
		t.Errorf("98 datagrams got lost, the search has %s", n)
	}
	v.press(kb.Escape)
	v.search("roamed client")
	if n := get[string](v, `document.getElementById("found").textContent`); !strings.HasPrefix(n, "13 matches of ") &&
		!strings.HasPrefix(n, "14 matches of ") {
		t.Errorf("the peer was seen to move 13 times, and learnt once at most; the search has %s", n)
	}
	v.press(kb.Enter) // selects the first
	link := get[string](v, `location.hash`)
	if !strings.HasPrefix(link, "#e=") || !strings.Contains(get[string](v, detailText), "roamed") {
		t.Errorf("the first match has the link %q", link)
	}
	v.press(kb.Escape)
	before := get[string](v, rangeText)
	for _, key := range []string{"+", "+", kb.ArrowRight, "-", "x"} {
		v.press(key)
		after := get[string](v, rangeText+`+location.hash`)
		if after == before {
			t.Errorf("key %q changes nothing", key)
		}
		before = after
	}
	if !strings.Contains(get[string](v, detailText), "lost") {
		t.Error("key x does not lead to a loss")
	}
	v.do(chromedp.Navigate("about:blank"))
	v.open("file://"+file+link, 1600, 1010)
	v.settle()
	if !strings.Contains(get[string](v, detailText), strings.TrimPrefix(link, "#e=")) {
		t.Errorf("%s does not open its event", link)
	}
	v.press("t")
	v.shot("report-dark.png")
	if theme := get[string](v, `document.documentElement.dataset.theme`); theme != "dark" {
		t.Errorf("key t leads to the theme %q", theme)
	}
	pdf, err := chromedp.Run(v.ctx, chromedp.PrintToPDF(chromedp.PDFPrintBackground(), chromedp.PDFPreferCSSPageSize()))
	if err != nil || len(pdf) < 50_000 || !bytes.HasPrefix(pdf, []byte("%PDF-")) {
		t.Errorf("in print: %d bytes, %v", len(pdf), err)
	}
	v.clean(file)
	v.hearsTrouble()
}

// search types into the box as a user does.
func (v *visit) search(query string) {
	v.t.Helper()
	v.press("/")
	if !get[bool](v, `(q => { const focused = document.activeElement === q; q.value = ""; return focused; })(
		document.getElementById("query"))`) {
		v.t.Error("key / does not lead to the search")
	}
	v.do(chromedp.KeyEvent(query))
	v.settle()
}

// hearsTrouble shows that clean would have noticed: the page is given an error, a warning and something to load.
func (v *visit) hearsTrouble() {
	v.t.Helper()
	get[bool](v, `new Promise(done => {
		console.error("planted");
		setTimeout(() => { throw Error("planted"); });
		new Image().src = "http://127.0.0.1:9/x.png";
		setTimeout(() => done(true));
	})`)
	for _, want := range []string{"console.error", "Uncaught", "Content Security Policy"} {
		heard := func() bool {
			v.mu.Lock()
			defer v.mu.Unlock()
			return slices.ContainsFunc(v.complaints, func(c string) bool { return strings.Contains(c, want) })
		}
		for i := 0; i < 100 && !heard(); i++ {
			v.settle()
		}
		if !heard() {
			v.t.Errorf("%s was planted and not noticed", want)
		}
	}
}

// A page with a fault and another run beside it; its picture is in docs too.
func TestDeafPageInBrowser(t *testing.T) {
	f, err := gallery.Load("deaf")
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.Compile()
	if err != nil {
		t.Fatal(err)
	}
	c.Scenario.Faults = nil
	file := galleryPage(t, "deaf", readBack(t, 1, c.Scenario))
	v := browse(t, file, 1600, 1010)
	v.shot("report-fault.png")
	text := get[string](v, `document.getElementById("versus").innerText`)
	for _, want := range []string{"Compared with deaf, seed 1", "They part at 00:40", "longest outage"} {
		if !strings.Contains(text, want) {
			t.Errorf("the comparison does not say %q: %s", want, text)
		}
	}
	with := get[string](v, `document.getElementById("lanes").toDataURL()`)
	get[bool](v, `[...document.querySelectorAll("#legend button")].find(b => b.textContent === "Faults").click() || true`)
	v.settle()
	if without := get[string](v, `document.getElementById("lanes").toDataURL()`); with == without {
		t.Error("the legend does not take the fault's band away")
	}
	if _, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(with, "data:image/png;base64,")); err != nil {
		t.Errorf("the diagram: %v", err)
	}
	v.clean(file)
}
