package server

import "runtime"

// processMeasures returns what the runtime and the system say about this process now.
func processMeasures() []Measure {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return append(systemMeasures(),
		now("go_goroutines", "Goroutines.", float64(runtime.NumGoroutine())),
		now("go_gomaxprocs", "Processors that goroutines use at once.", float64(runtime.GOMAXPROCS(0))),
		total("go_gc_cycles_total", "Cycles of the garbage collector.", float64(m.NumGC)),
		total("go_gc_pause_seconds_total", "Time for which the garbage collector has stopped all goroutines.", float64(m.PauseTotalNs)/1e9),
		total("go_memstats_alloc_bytes_total", "Bytes allocated on the heap.", float64(m.TotalAlloc)),
		total("go_memstats_mallocs_total", "Objects allocated on the heap.", float64(m.Mallocs)),
		now("go_memstats_heap_alloc_bytes", "Bytes of objects on the heap.", float64(m.HeapAlloc)),
		now("go_memstats_heap_inuse_bytes", "Bytes of the heap in use.", float64(m.HeapInuse)),
		now("go_memstats_heap_objects", "Objects on the heap.", float64(m.HeapObjects)),
		now("go_memstats_next_gc_bytes", "Bytes of the heap at which the garbage collector runs next.", float64(m.NextGC)),
		now("go_memstats_stack_inuse_bytes", "Bytes of stacks in use.", float64(m.StackInuse)),
		now("go_memstats_sys_bytes", "Bytes that the runtime has from the system.", float64(m.Sys)),
		Measure{Name: "go_info", Help: "The version of Go.", Labels: map[string]string{"version": runtime.Version()}, Value: func() float64 { return 1 }})
}

func now(name, help string, value float64) Measure {
	return Measure{Name: name, Help: help, Value: func() float64 { return value }}
}

func total(name, help string, value float64) Measure {
	return Measure{Name: name, Help: help, Counts: true, Value: func() float64 { return value }}
}
