package explore

import (
	"reflect"

	"github.com/purewire/purewire/transports/sim/scenario"
)

// clone copies a file with all that it refers to. It goes over the fields by reflection, so that none is forgotten.
func clone(f *scenario.File) *scenario.File {
	c := *f
	copyInto(reflect.ValueOf(&c).Elem())
	return &c
}

// copyInto gives v memory of its own.
func copyInto(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				copyInto(v.Field(i))
			}
		}
	case reflect.Slice:
		if v.IsNil() {
			return
		}
		own := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(own, v)
		v.Set(own)
		for i := range v.Len() {
			copyInto(v.Index(i))
		}
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		own := reflect.New(v.Type().Elem())
		own.Elem().Set(v.Elem())
		copyInto(own.Elem())
		v.Set(own)
	}
}

// place leads to a value in a file: fields and elements by their numbers.
type place []int

// at finds the value. ok is false if it is gone.
func (p place) at(f *scenario.File) (v reflect.Value, ok bool) {
	v = reflect.ValueOf(f).Elem()
	for _, i := range p {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
		switch v.Kind() {
		case reflect.Struct:
			v = v.Field(i)
		case reflect.Slice:
			if i >= v.Len() {
				return v, false
			}
			v = v.Index(i)
		default:
			return v, false
		}
	}
	return v, true
}

// places lists all values that are set, the outer before the inner ones.
func places(f *scenario.File) (list []place) {
	var walk func(v reflect.Value, at place)
	walk = func(v reflect.Value, at place) {
		if v.Kind() == reflect.Pointer && !v.IsNil() {
			v = v.Elem()
		}
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				if x := v.Field(i); x.CanSet() && !x.IsZero() && !(len(at) == 0 && identity[v.Type().Field(i).Name]) {
					list = append(list, append(append(place(nil), at...), i))
					walk(x, append(append(place(nil), at...), i))
				}
			}
		case reflect.Slice:
			for i := range v.Len() {
				if k := v.Index(i).Kind(); k == reflect.Struct {
					walk(v.Index(i), append(append(place(nil), at...), i))
				}
			}
		}
	}
	walk(reflect.ValueOf(f).Elem(), nil)
	return list
}

// identity names what a file is known by, which is not made simpler.
var identity = map[string]bool{"Version": true, "Name": true, "Seed": true, "Duration": true}

// values tries simpler values for everything that is left: none at first, then round ones.
func (s *shrinker) values() (changed bool) {
	for _, p := range places(s.f) {
		if v, ok := p.at(s.f); !ok || v.IsZero() {
			continue
		}
		if s.try(func(f *scenario.File) {
			if v, ok := p.at(f); ok {
				v.SetZero()
			}
		}) {
			changed = true
			continue
		}
		for _, simple := range s.simpler(p) {
			if s.try(func(f *scenario.File) {
				if v, ok := p.at(f); ok {
					v.Set(simple)
				}
			}) {
				changed = true
				break
			}
		}
	}
	return changed
}

// simpler lists values that are easier to read than the one at a place, the simplest first.
func (s *shrinker) simpler(p place) (list []reflect.Value) {
	v, ok := p.at(s.f)
	if !ok {
		return nil
	}
	add := func(x any) {
		if n := reflect.ValueOf(x); !n.Equal(v) {
			list = append(list, n)
		}
	}
	switch x := v.Interface().(type) {
	case scenario.Duration:
		for _, unit := range []scenario.Duration{minute, 10 * second, second} {
			if x%unit == 0 {
				break
			}
			if x > unit {
				add(x / unit * unit)
			}
		}
	case scenario.Ratio:
		for _, n := range []uint32{100, 50, 10} {
			if (scenario.Ratio{Num: n, Den: 100}) == x {
				break
			}
			add(scenario.Ratio{Num: n, Den: 100})
		}
	case []string:
		for i := range x {
			if len(x) > 1 {
				list = append(list, reflect.ValueOf(append(append([]string(nil), x[:i]...), x[i+1:]...)))
			}
		}
	}
	return list
}
