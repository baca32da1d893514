package sim_test

import (
	"github.com/purewire/purewire/transports/sim"
	"github.com/purewire/purewire/transports/sim/gallery"
)

func init() { sim.FromGallery = gallery.Scenario }
