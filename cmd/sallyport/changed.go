package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"sallyport/internal/config"
)

// reread are the keys of the configuration that SIGHUP puts in force. Of `connections` it does so with labels files and secrets alone.
var reread = []string{"principals", "policies", "notify", "export", "identity.providers"}

// apart are the top keys of which those below are told of one by one.
var apart = []string{"listen", "connections", "approvals", "audit", "detectors", "identity", "limits", "masks"}

// grave are the keys of which somebody who believes that they are in force may show what should be hidden, or take away too little.
var grave = []string{"labels", "masks", "detectors", "connections", "listen", "approvals"}

// unlike names, in the order of the file's documentation, the keys by which two configuration files differ.
func unlike(was, is *config.File) (keys []string) {
	a, b := reflect.ValueOf(*was), reflect.ValueOf(*is)
	for i := range a.NumField() {
		keys = append(keys, unlikeAt(yamlKey(a.Type().Field(i)), a.Field(i), b.Field(i))...)
	}
	return keys
}

func unlikeAt(key string, a, b reflect.Value) (keys []string) {
	if reflect.DeepEqual(a.Interface(), b.Interface()) {
		return nil
	}
	if !slices.Contains(apart, key) {
		return []string{key}
	}
	below := func(name string, a, b any) {
		if !reflect.DeepEqual(a, b) {
			keys = append(keys, key+"."+name)
		}
	}
	if a.Kind() == reflect.Map {
		at := func(m, k reflect.Value) any {
			if v := m.MapIndex(k); v.IsValid() {
				return v.Interface()
			}
			return nil
		}
		for _, m := range []reflect.Value{a, b} {
			for _, k := range m.MapKeys() {
				if name := printable(fmt.Sprint(k)); !slices.Contains(keys, key+"."+name) {
					below(name, at(a, k), at(b, k))
				}
			}
		}
		slices.Sort(keys)
		return keys
	}
	for i := range a.NumField() {
		below(yamlKey(a.Type().Field(i)), a.Field(i).Interface(), b.Field(i).Interface())
	}
	return keys
}

func yamlKey(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name
}

// waiting names what of a configuration is not in force until the gateway is started again, and whether any of that is grave.
func waiting(started, is *config.File) (keys []string, serious bool) {
	for _, k := range unlike(started, is) {
		if slices.Contains(reread, k) {
			continue
		}
		top, _, _ := strings.Cut(k, ".")
		keys, serious = append(keys, k), serious || slices.Contains(grave, top)
	}
	return keys, serious
}

// putInForce names what a reload has changed; outward are the keys of what is sent elsewhere otherwise than before, which not every change comes to.
func putInForce(was, is *config.Config, outward []string) (keys []string) {
	keys = slices.Clone(outward)
	for _, k := range unlike(&was.File, &is.File) {
		if slices.Contains(reread, k) && !slices.Contains([]string{"policies", "notify", "export"}, k) {
			keys = append(keys, k)
		}
	}
	add := func(key string, same bool) {
		if !same && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	add("principals", reflect.DeepEqual(was.Principals, is.Principals)) // their secrets may be elsewhere
	add("identity.providers", reflect.DeepEqual(was.Providers, is.Providers))
	add("policies", reflect.DeepEqual(was.Policies, is.Policies))
	for i := range min(len(was.Connections), len(is.Connections)) {
		add("labels files", reflect.DeepEqual(was.Connections[i].Judged, is.Connections[i].Judged))
	}
	slices.Sort(keys)
	return keys
}
