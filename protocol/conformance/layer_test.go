package conformance_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/coretarget"
	"github.com/purewire/purewire/timers"
)

// asLibrary is the core, which says that it is less than it is.
type asLibrary struct{ coretarget.Factory }

func (f asLibrary) Capabilities() conformance.Capabilities {
	c := f.Factory.Capabilities()
	c.Layer = conformance.LayerLibrary
	return c
}

// Cases about a rule of the device layer, and only those, are unsupported on a library, with the reason.
func TestLibraryLayer(t *testing.T) {
	beyond, levels := map[string]bool{}, map[string]string{}
	for _, r := range allRules(t) {
		levels[r.id] = r.level
		if conformance.LayerDevice.Beyond(r.id) != "" || conformance.Layer("").Beyond(r.id) != "" {
			t.Errorf("%s is beyond a device", r.id)
		}
		beyond[r.id] = conformance.LayerLibrary.Beyond(r.id) != ""
	}
	for id, want := range map[string]bool{"ROUTE-01": true, "ROAM-10": true, "UAPI-40": true, "QOS-01": true,
		"LIFE-04": true, "LIFE-01": false, "LIFE-10": false, "HS-03": false, "TIMER-12": false, "TIMER-24": true,
		"PAD-01": false, "PAD-02": true, "KEY-01": true, "KEY-10": false, "INNER-01": false, "COOKIE-14": false} {
		if beyond[id] != want {
			t.Errorf("%s beyond a library: %v", id, beyond[id])
		}
	}
	o := conformance.Options{Jobs: 2, Only: []string{"roam/*", "route/*", "timer/passive-keepalive/*", "uapi/get/*",
		"inner/*", "life/*", "wire/*"}}
	ran, not := 0, 0
	for r := range conformance.Run(t.Context(), asLibrary{}, o) {
		i := slices.IndexFunc(r.Rules, func(id string) bool { return beyond[id] })
		told := i >= 0 && strings.Contains(r.Reason, r.Rules[i]+" is none of a library's: ")
		if (r.Verdict == conformance.Unsupported && told) != (i >= 0) {
			t.Errorf("%s, about %v: %s, %s", r.Case, r.Rules, r.Verdict, r.Reason)
		}
		if i >= 0 {
			not++
		} else {
			ran++
		}
	}
	if ran < 40 || not < 40 {
		t.Errorf("%d cases of a library, %d beyond it", ran, not)
	}
}

// A row of the list that no rule has is a mistake in writing.
func TestDeviceRulesExist(t *testing.T) {
	for _, pattern := range conformance.DeviceRules() {
		if !slices.ContainsFunc(allRules(t), func(r rule) bool { return conformance.Glob(pattern, r.id) }) {
			t.Errorf("there is no rule %s", pattern)
		}
	}
}

// faltering makes every input fail, and starts or not.
type faltering struct {
	coretarget.Factory
	start, input error
}

func (f faltering) New(setup conformance.Setup) (conformance.Subject, error) {
	s, err := f.Factory.New(setup)
	if f.start != nil {
		return nil, f.start
	}
	return falteringInput{s, f.input}, err
}

type falteringInput struct {
	conformance.Subject
	err error
}

func (s falteringInput) Input(timers.Time, []conformance.Datagram) conformance.Stamp {
	panic(&conformance.TargetError{Err: s.err})
}

// What goes wrong on the way to an implementation is no verdict on it.
func TestTargetErrors(t *testing.T) {
	cannot := fmt.Errorf("%w: no", errors.ErrUnsupported)
	for _, c := range []struct {
		f      faltering
		want   conformance.Verdict
		reason string
	}{
		{faltering{input: errors.New("gone")}, conformance.Broken, "the target: gone"},
		{faltering{input: cannot}, conformance.Unsupported, cannot.Error()},
		{faltering{start: errors.New("gone")}, conformance.Broken, "the target does not start: gone"},
		{faltering{start: cannot}, conformance.Unsupported, "the target does not start: " + cannot.Error()},
	} {
		o := conformance.Options{Only: []string{"timer/passive-keepalive/due"}}
		for r := range conformance.Run(t.Context(), c.f, o) {
			if r.Verdict != c.want || r.Reason != c.reason {
				t.Errorf("%+v: %s, %s", c.f, r.Verdict, r.Reason)
			}
		}
	}
}
