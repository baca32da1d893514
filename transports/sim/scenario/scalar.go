package scenario

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/purewire/purewire/transports/sim"
)

// Duration is a time.Duration that is written with its units: 90s, 1m30s, 250ms.
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String writes the duration without the zero units that time.Duration leaves behind: 10m, not 10m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		if _, bad := strconv.ParseInt(string(text), 10, 64); bad == nil {
			return fmt.Errorf("%s has no unit; did you mean %ss?", text, text)
		}
		return fmt.Errorf("%q is no duration such as 90s, 250ms or 1m30s", text)
	}
	*d = Duration(v)
	return nil
}

// Ratio is a probability, written as a percentage or as a fraction: 1%, 0.5%, 3/1000. The denominator is kept as
// written, since what is drawn depends on it.
type Ratio sim.Ratio

// IsZero reports whether the ratio is 0/0, which is not written at all.
func (r Ratio) IsZero() bool { return r == Ratio{} }

// MarshalText implements encoding.TextMarshaler.
func (r Ratio) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// String writes ratios with a power of ten below the line as percentages.
func (r Ratio) String() string {
	places := 0
	for den := r.Den; den >= 100; den, places = den/10, places+1 {
		if den == 100 {
			return point(strconv.FormatUint(uint64(r.Num), 10), places) + "%"
		}
		if den%10 != 0 {
			break
		}
	}
	return fmt.Sprintf("%d/%d", r.Num, r.Den)
}

// point sets a decimal point in front of the last places digits.
func point(digits string, places int) string {
	if places == 0 {
		return digits
	}
	if len(digits) <= places {
		digits = strings.Repeat("0", places-len(digits)+1) + digits
	}
	return digits[:len(digits)-places] + "." + digits[len(digits)-places:]
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Ratio) UnmarshalText(text []byte) error {
	v, err := sim.ParseRatio(string(text))
	*r = Ratio(v)
	return err
}

// Rate is a number of bits per second, written with its unit: 500kbit/s, 20Mbit/s.
type Rate uint64

var rateUnits = []struct {
	name string
	bits uint64
}{{"Gbit/s", 1e9}, {"Mbit/s", 1e6}, {"kbit/s", 1e3}, {"bit/s", 1}}

// MarshalText implements encoding.TextMarshaler.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// String uses the greatest unit that leaves a whole number.
func (r Rate) String() string {
	for _, u := range rateUnits {
		if r > 0 && uint64(r)%u.bits == 0 {
			return strconv.FormatUint(uint64(r)/u.bits, 10) + u.name
		}
	}
	return "0bit/s"
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Rate) UnmarshalText(text []byte) error {
	for _, u := range rateUnits {
		digits, found := strings.CutSuffix(string(text), u.name)
		if !found {
			continue
		}
		if n, err := strconv.ParseUint(digits, 10, 32); err == nil {
			*r = Rate(n * u.bits)
			return nil
		}
		break
	}
	return fmt.Errorf("%q is no rate such as 500kbit/s or 20Mbit/s", text)
}

func (d Duration) time() time.Duration { return time.Duration(d) }
