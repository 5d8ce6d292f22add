#!/bin/sh
# jars.sh FOLDER: collects the jars of pom.xml in FOLDER. The image and the tests of the engine get theirs here.
set -eu
exec mvn -q -B -f "$(dirname "$0")/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$1"
