#!/usr/bin/env bash
# Cargo runs each test program through this. It runs those of the packages in PAYPLANE_PACKAGES and passes over the others.
case " $PAYPLANE_PACKAGES " in
  *" $CARGO_PKG_NAME "*) exec "$@" ;;
esac
