package timers

import (
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// clampBig is the definition of "held at the ends of the range", in arithmetic that cannot overflow.
func clampBig(v *big.Int) int64 {
	if v.IsInt64() {
		return v.Int64()
	}
	if v.Sign() > 0 {
		return math.MaxInt64
	}
	return math.MinInt64
}

// addBig is Time.Add written with big integers, for the models of these tests.
func addBig(t Time, d time.Duration) Time {
	if t == Never {
		return Never
	}
	return Time(clampBig(new(big.Int).Add(big.NewInt(int64(t)), big.NewInt(int64(d)))))
}

func edgeInt64() *rapid.Generator[int64] {
	return rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{
		math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64}))
}

func TestTimeNeverWraps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := edgeInt64().Draw(t, "a"), edgeInt64().Draw(t, "b")
		if got, want := Time(a).Add(time.Duration(b)), addBig(Time(a), time.Duration(b)); got != want {
			t.Fatalf("Time(%d).Add(%d) = %d, want %d", a, b, got, want)
		}
		diff := clampBig(new(big.Int).Sub(big.NewInt(a), big.NewInt(b)))
		if got := Time(a).Sub(Time(b)); int64(got) != diff {
			t.Fatalf("Time(%d).Sub(%d) = %d, want %d", a, b, got, diff)
		}
	})
}

func TestTimeEdges(t *testing.T) {
	const least, most = Time(math.MinInt64), time.Duration(math.MaxInt64)
	for _, c := range []struct {
		got, want any
		why       string
	}{
		{Never.Add(-time.Hour), Never, "Never stays Never"},
		{Never.Add(math.MinInt64), Never, "Never stays Never"},
		{(Never - 1).Add(2), Never, "the upper end holds"},
		{(Never - 2).Add(1), Never - 1, "and is reached exactly"},
		{least.Add(-1), least, "the lower end holds"},
		{Time(0).Sub(least), most, "minus the least Time does not exist"},
		{Time(-1).Sub(least), most, "but this difference does, and is the greatest"},
		{least.Sub(least), time.Duration(0), "equal times"},
		{least.Sub(Never), time.Duration(math.MinInt64), "the widest negative difference"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %d, want %d", c.why, c.got, c.want)
		}
	}
}

func TestConstants(t *testing.T) {
	for _, c := range []struct {
		got, want any
		name      string
	}{
		{RekeyAfterTime, 120 * time.Second, "Rekey-After-Time"},
		{RejectAfterTime, 180 * time.Second, "Reject-After-Time"},
		{RekeyAttemptTime, 90 * time.Second, "Rekey-Attempt-Time"},
		{RekeyTimeout, 5 * time.Second, "Rekey-Timeout"},
		{KeepaliveTimeout, 10 * time.Second, "Keepalive-Timeout"},
		{RekeyOnReceiveTime, 165 * time.Second, "TIMER-08"},
		{NewHandshakeTime, 15 * time.Second, "TIMER-16"},
		{KeyErasureTime, 540 * time.Second, "KEY-13"},
		{MaxJitter, 333 * time.Millisecond, "TIMER-02"},
		{CookieSecretLife, 120 * time.Second, "COOKIE-15"},
		{CookieLife, 120 * time.Second, "COOKIE-10"},
		{InitiationFloodInterval, 20 * time.Millisecond, "flood rule"},
		{RekeyAfterMessages, uint64(1152921504606846976), "Rekey-After-Messages"},
		{RejectAfterMessages, uint64(18446744073709543423), "Reject-After-Messages"},
	} {
		if c.got != c.want {
			t.Errorf("%s is %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for k := None; k <= NumKinds; k++ {
		seen[k.String()] = true
	}
	for a := ActNone; a <= ActPersistentKeepalive; a++ {
		seen["act:"+a.String()] = true
	}
	if want := int(NumKinds) + 1 + int(ActPersistentKeepalive) + 1; len(seen) != want || seen[""] || seen["act:"] {
		t.Errorf("names are not distinct and complete: %v", seen)
	}
	if Kind(200).String() != "Kind(200)" || Action(200).String() != "Action(200)" {
		t.Error("a value out of range has no name of its own")
	}
	for i, k := range Kinds() {
		if int(k) != i+1 {
			t.Errorf("Kinds()[%d] = %v", i, k)
		}
	}
	if len(Kinds()) != int(NumKinds)-1 {
		t.Errorf("Kinds() has %d timers, want all of %d", len(Kinds()), NumKinds-1)
	}
}
