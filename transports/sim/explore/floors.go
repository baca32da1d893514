package explore

import (
	"fmt"
	"slices"
	"time"

	"github.com/purewire/purewire/transports/sim"
)

// FloorSeeds is from how many seeds on an exploration is held to the floors: with fewer, chance decides. Only the
// share of exempt directions counts from ExemptSeeds on.
const (
	FloorSeeds  = 1000
	ExemptSeeds = 50
)

// Floors.
const (
	leastMedian   = 10 * time.Minute
	leastHosts    = 4
	leastPerSeed  = 15 * time.Minute // on average: 500 hours in 2000 seeds
	leastLarge    = 10               // percent of the seeds with so many hosts:
	largeHosts    = 10
	leastKind     = 3 // percent of the seeds
	leastKinds    = 4 // per seed
	leastCoverage = 90
	mostExempt    = 20
)

// Floor is one demand on an exploration as a whole.
type Floor struct {
	Name string
	Want string
	Got  string
	Met  bool
	// Asserted says that the exploration fails if it is not met: it has seeds enough.
	Asserted bool
}

// Floors holds a summary to what an exploration of the good core must reach. One of a known-bad core is not held to
// anything: it ends at its first failures.
func (s *Summary) Floors() (list []Floor) {
	n := len(s.Runs)
	if n == 0 {
		return nil
	}
	add := func(least int, met bool, name, want, got string) {
		list = append(list, Floor{name, want, got, met, s.Sabotage == "" && n >= least})
	}
	median, total, hosts, large, kinds := s.measures()
	add(FloorSeeds, median >= leastMedian, "median of the virtual time", "at least "+leastMedian.String(),
		median.Round(time.Second).String())
	add(FloorSeeds, total >= leastPerSeed*time.Duration(n), "virtual time in all",
		fmt.Sprintf("at least %s h", hours(leastPerSeed*time.Duration(n))), hours(total)+" h")
	add(FloorSeeds, hosts >= leastHosts, "median of the hosts", fmt.Sprintf("at least %d", leastHosts),
		fmt.Sprint(hosts))
	add(FloorSeeds, large*100 >= leastLarge*n, fmt.Sprintf("seeds with %d hosts or more", largeHosts),
		fmt.Sprintf("at least %d %%", leastLarge), percent(large, n))
	rare, rarest := s.rarest()
	add(FloorSeeds, rare*100 >= leastKind*n, "seeds with the rarest kind of trouble",
		fmt.Sprintf("at least %d %%", leastKind), percent(rare, n)+" ("+rarest+")")
	add(FloorSeeds, kinds >= leastKinds*n, "kinds of trouble per seed", fmt.Sprintf("at least %d", leastKinds),
		fmt.Sprintf("%d.%02d", kinds/n, kinds*100/n%100))
	met, all := s.Covered.Covered()
	add(FloorSeeds, met*100 >= leastCoverage*all, "covered of the closed lists",
		fmt.Sprintf("at least %d %%", leastCoverage), fmt.Sprintf("%s (%d of %d)", percent(met, all), met, all))
	exempt, pairs := s.Exempted(), s.Exempted()+s.Owed
	add(ExemptSeeds, exempt*100 <= mostExempt*pairs, "directions that owe no recovery",
		fmt.Sprintf("at most %d %%", mostExempt), fmt.Sprintf("%s (%d of %d)", percent(int(exempt), int(pairs)), exempt,
			pairs))
	return list
}

func (s *Summary) measures() (median, total time.Duration, hosts, large, kinds int) {
	var times []time.Duration
	var sizes []int
	for i := range s.Runs {
		r := &s.Runs[i]
		times, sizes = append(times, r.Virtual), append(sizes, r.Hosts)
		total += r.Virtual
		kinds += len(r.Kinds)
		if r.Hosts >= largeHosts {
			large++
		}
	}
	slices.Sort(times)
	slices.Sort(sizes)
	return times[(len(times)-1)/2], total, sizes[(len(sizes)-1)/2], large, kinds
}

// rarest finds the kind of trouble that took effect in the fewest seeds.
func (s *Summary) rarest() (n int, name string) {
	n = -1
	for _, k := range sim.FaultKinds() {
		if m := s.SeedsWith(k.String()); n < 0 || m < n {
			n, name = m, k.String()
		}
	}
	return n, name
}

func hours(d time.Duration) string {
	return fmt.Sprintf("%d.%d", d/time.Hour, d%time.Hour*10/time.Hour)
}

// percent writes a share with one decimal, without floating point.
func percent(n, all int) string {
	if all == 0 {
		return "–"
	}
	return fmt.Sprintf("%d.%d %%", n*100/all, n*1000/all%10)
}

// OK reports whether a seed ran, none failed and all floors that count were met.
func (s *Summary) OK() bool {
	if len(s.Runs) == 0 {
		return false
	}
	for _, f := range s.Floors() {
		if f.Asserted && !f.Met {
			return false
		}
	}
	return len(s.Failures) == 0
}
