//go:build !linux

package bench

import "errors"

func startFloor(string, int) (target, error) {
	return target{}, errors.New("the floor needs Linux")
}
