package protocoltest

import (
	"time"

	"github.com/purewire/purewire/timers"
)

func (e *Env) advanceCommand(c *command) error {
	text := c.word("a duration")
	var by time.Duration
	if text == "to" {
		by = timers.Time(c.duration(c.word("a time"))).Sub(e.now)
	} else {
		by = c.duration(text)
	}
	if by < 0 {
		c.fail("it is %s: time does not run backwards", seconds(e.now))
	}
	if err := c.done(); err != nil {
		return err
	}
	e.advance(by)
	return nil
}

func (e *Env) settleCommand(c *command) error {
	if err := c.done(); err != nil {
		return err
	}
	e.settle()
	return nil
}

func (e *Env) network(c *command) error {
	manual := false
	for _, w := range c.rest() {
		if w != "manual" {
			c.fail("what is %q?", w)
		}
		manual = true
	}
	delay := c.str("delay", "")
	var d time.Duration
	switch {
	case manual == (delay != ""):
		c.fail("manual, or delay=DURATION")
	case !manual:
		d = c.duration(delay)
	}
	if err := c.done(); err != nil {
		return err
	}
	e.auto, e.delay = !manual, d
	return nil
}
