//go:build !js

package report

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// The limits of a page with 100,000 events.
const (
	manyEvents  = 100_000
	mostBytes   = 15_000_000
	mostPaint   = 3000 // ms
	mostGesture = 200  // ms
)

// visit is a page in a headless Chromium, and what it complained of.
type visit struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string
	requests   []string
}

// browse opens a file in a Chromium of its own, which is gone when the test ends.
func browse(t *testing.T, file string, width, height int64) *visit {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is missing: run .ci/setup, which installs it")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(chromium),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(int(width), int(height)))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	v := &visit{t: t}
	v.ctx, cancel = chromedp.NewContext(ctx, chromedp.WithListener(v.hear))
	t.Cleanup(cancel)
	v.open("file://"+file, width, height)
	return v
}

func (v *visit) open(url string, width, height int64) {
	v.t.Helper()
	v.do(chromedp.EmulateViewport(width, height), chromedp.Navigate(url),
		chromedp.WaitReady(chromedp.CSS(`html[data-ready="true"]`)))
}

// hear notes whatever a console shows but plain messages, and what is asked of the network.
func (v *visit) hear(event any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		v.complaints = append(v.complaints, e.ExceptionDetails.Text+fmt.Sprint(" at line ", e.ExceptionDetails.LineNumber))
	case *runtime.EventConsoleAPICalled:
		v.complaints = append(v.complaints, "console."+string(e.Type))
	case *log.EventEntryAdded:
		v.complaints = append(v.complaints, e.Entry.Text)
	case *network.EventRequestWillBeSent:
		v.requests = append(v.requests, e.Request.URL)
	}
}

func (v *visit) do(steps ...chromedp.Action[chromedp.Void]) {
	v.t.Helper()
	if err := chromedp.Do(v.ctx, steps...); err != nil {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.t.Fatalf("%v; the console has %q", err, v.complaints)
	}
}

// get evaluates a script, which may be a promise.
func get[T any](v *visit, script string) T {
	v.t.Helper()
	value, err := chromedp.Run(v.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		v.t.Fatalf("%v: %s", err, script)
	}
	return value
}

// clean asserts that nothing was complained of and nothing loaded but the page.
func (v *visit) clean(file string) {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.complaints) > 0 {
		v.t.Errorf("the console has %q", v.complaints)
	}
	for _, r := range v.requests {
		if r != "file://"+file && !strings.HasPrefix(r, "file://"+file+"#") && !strings.HasPrefix(r, "data:") {
			v.t.Errorf("the page loads %s", r)
		}
	}
	if len(v.requests) == 0 {
		v.t.Error("nothing was loaded: the listener is deaf")
	}
}

// gesture is how many milliseconds pass from an event until the frame after it is painted: the least of nine, since
// what else the machine does can only add to it. Before each, prepare makes the page as it was.
func (v *visit) gesture(prepare, do string) float64 {
	v.t.Helper()
	list := get[[]float64](v, `(async () => {
		const took = [], key = key => document.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
		const wheel = deltaY => document.getElementById("lanes").dispatchEvent(
			new WheelEvent("wheel", {deltaY, bubbles: true, cancelable: true}));
		const box = document.getElementById("query");
		const search = text => { box.value = text; box.dispatchEvent(new Event("input")); };
		const painted = () => new Promise(done => requestAnimationFrame(() => {
			const c = new MessageChannel(); c.port1.onmessage = done; c.port2.postMessage(0); }));
		for (let round = 0; round < 9; round++) {
			`+prepare+`;
			await painted();
			await new Promise(done => setTimeout(done, 20));
			const began = performance.now();
			`+do+`;
			await painted();
			took.push(performance.now() - began);
		}
		return took;
	})()`)
	slices.Sort(list)
	v.t.Logf("%s: milliseconds: %.0f", do, list)
	return list[0]
}

// painted is when the first frame was, in milliseconds from the start of loading.
func (v *visit) painted() float64 {
	v.t.Helper()
	return get[float64](v, `performance.getEntriesByName("painted")[0].startTime`)
}

// A page of 100,000 events is small enough to mail, quick to appear and quick to answer.
func TestBigPageInBrowser(t *testing.T) {
	file, text := writePage(t, busy(), HTMLOptions{Seed: 3, Command: "wgsim run --seed 3", MaxEvents: 2 * manyEvents})
	t.Logf("%d bytes", len(text))
	if len(text) > mostBytes {
		t.Errorf("the page has %d bytes, more than %d", len(text), mostBytes)
	}
	v := browse(t, file, 1600, 1000)
	n := get[int](v, `JSON.parse(document.getElementById("data").textContent).rows`)
	if n < manyEvents || n > 2*manyEvents {
		t.Errorf("%d events: this is about %d", n, manyEvents)
	}
	t.Logf("%d events", n)
	paint := v.painted()
	for range 4 { // the least of five, as with gestures
		if paint > mostPaint {
			v.open("file://"+file, 1600, 1000)
			paint = min(paint, v.painted())
		}
	}
	t.Logf("first painted after %.0f ms", paint)
	if paint > mostPaint {
		t.Errorf("first painted after %.0f ms", paint)
	}
	whole := get[string](v, rangeText)
	for _, g := range []struct{ prepare, do string }{
		{`key("0")`, `wheel(-120)`},
		{`key("0"); wheel(-120); wheel(-120); wheel(-120)`, `wheel(120)`},
		{`key("0"); search("")`, `search("spoke-3 lost")`},
		{`key("0"); search("x")`, `search("hub")`},
		{`key("0"); search("hub")`, `search("")`},
		{`key("0")`, `search("timer 12")`},
		{`search("")`, `key("j")`},
	} {
		if ms := v.gesture(g.prepare, g.do); ms > mostGesture {
			t.Errorf("%s: painted after %.0f ms", g.do, ms)
		}
		if g.do == `wheel(-120)` && get[string](v, rangeText) == whole {
			t.Error("zooming in changed nothing")
		}
		if found := get[string](v, `document.getElementById("found").textContent`); strings.Contains(g.do, "spoke-3") &&
			(strings.HasPrefix(found, "0 ") || !strings.Contains(found, "matches")) {
			t.Errorf("the search has %q", found)
		}
	}
	v.clean(file)
}

// shot takes a picture of what is seen; with -update and a name it becomes the one in docs.
func (v *visit) shot(name string) []byte {
	v.t.Helper()
	picture, err := chromedp.Run(v.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		v.t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(filepath.Join("../../../docs/screenshots", name), picture, 0o644); err != nil {
			v.t.Fatal(err)
		}
	}
	return picture
}
