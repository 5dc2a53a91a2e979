# Writes OUT.h and OUT.c: the FILES below FOLDER as arrays of bytes, NAMEs[] of struct NAME. HEADER is how
# OUT.h is included. Run by the build.

file(WRITE ${OUT}.h "/* Files of lua/, inside of the program. Made by the build. */
#pragma once

#include <stddef.h>

struct ${NAME} {
    const char *name; /* path below ${BELOW} */
    const char *data; /* a NUL follows it, which size does not count */
    size_t size;
};

extern const struct ${NAME} ${NAME}s[]; /* ended by a NULL name */
")

set(arrays "")
set(entries "")
set(number 0)
foreach(name ${FILES})
    file(READ ${FOLDER}/${name} hex HEX)
    string(LENGTH "${hex}" size)
    math(EXPR size "${size} / 2")
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
    string(APPEND arrays "static const unsigned char file_${number}[] = {${bytes}0};\n")
    string(APPEND entries "    {\"${name}\", (const char *)file_${number}, ${size}},\n")
    math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUT}.c "#include \"${HEADER}\"

${arrays}
const struct ${NAME} ${NAME}s[] = {
${entries}    {NULL, NULL, 0},
};
")
