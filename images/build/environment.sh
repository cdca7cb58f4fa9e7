#!/bin/sh
# Fill /opt/alsolike, an environment without pip, with requirements: environment.sh FILE...
set -eu

environment=/opt/alsolike
packages=$environment/lib/python3.11/site-packages

python3.11 -m venv --without-pip $environment
for requirements in "$@"; do
    # Each file is complete, but for that of kfp, of which a step needs no more than its executor.
    /build/tools/bin/pip --python $environment/bin/python install --no-deps --no-compile \
        --no-cache-dir --only-binary=:all: --require-hashes --requirement "$requirements"
done

# The steps are modules: no command is needed, and those of kfp would not even start.
find $environment/bin -type f -delete
# Tests, and what only a compiler asks for.
find $packages -type d \( -name test -o -name tests -o -name include -o -path '*/numpy/distutils' \
    -o -path '*/numpy/f2py' \) -prune -exec rm -r {} +
find $packages \( -name '*_test.py' -o -name conftest.py -o -name '*.a' -o -name '*.[ch]' \
    -o -name '*.[ch]pp' -o -name '*.cc' \) -delete
# Of some 430 services of AWS, S3 alone is asked, and those that sign in to it.
find $packages/botocore/data -mindepth 1 -maxdepth 1 -type d \
    ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -r {} +
# What a wheel's own tools have patched, strip could break; none of it has debug symbols.
find $packages -name '*.so' ! -path '*.libs/*' | while read -r library; do
    if readelf --sections --wide "$library" | grep -q ' \.debug_info '; then
        strip --strip-debug "$library"
    fi
done
# The CUDA libraries come in a folder each; the loader is told of one for all.
if [ -d $packages/nvidia ]; then
    find $packages/nvidia -name '*.so*' -exec ln -s -t $environment/lib {} +
fi

/build/settle.sh
