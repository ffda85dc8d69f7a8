# LibTorch from an unpacked wheel: include/, lib/, and cuda/lib/ with libcudart and libcupti (see installer/).
# Only libtorch_cpu and libc10 are linked: libtorch.so pulls in the CUDA half, which the trainer opens at run time
# where a GPU is present.
set(LIBTORCH_ROOT "" CACHE PATH "Folder with LibTorch's include/ and lib/")
if(NOT LIBTORCH_ROOT)
  if(DEFINED ENV{XDG_CACHE_HOME})
    set(cache "$ENV{XDG_CACHE_HOME}")
  else()
    set(cache "$ENV{HOME}/.cache")
  endif()
  set(LIBTORCH_ROOT "${cache}/rankscope/libtorch-${RANKSCOPE_LIBTORCH_VERSION}")
endif()
if(NOT EXISTS "${LIBTORCH_ROOT}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "LibTorch was not found in ${LIBTORCH_ROOT}. Run installer/setup.sh, which fetches it, or give "
                      "-DLIBTORCH_ROOT=<folder with include/ and lib/>.")
endif()
set(cuda_lib "${LIBTORCH_ROOT}/cuda/lib")

# LibTorch's include/ carries a copy of fmt newer than the library that is linked; the system's must be found first.
find_path(fmt_include fmt/format.h REQUIRED)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/fmt_first)
file(CREATE_LINK "${fmt_include}/fmt" "${CMAKE_BINARY_DIR}/fmt_first/fmt" SYMBOLIC)

add_library(rs_torch INTERFACE)
target_include_directories(rs_torch SYSTEM INTERFACE "${CMAKE_BINARY_DIR}/fmt_first" "${LIBTORCH_ROOT}/include"
                           "${LIBTORCH_ROOT}/include/torch/csrc/api/include")
target_link_libraries(rs_torch INTERFACE "${LIBTORCH_ROOT}/lib/libtorch_cpu.so" "${LIBTORCH_ROOT}/lib/libc10.so"
                      "${LIBTORCH_ROOT}/lib/libgomp.so.1")
# at::parallel_for is a template: without this flag it quietly becomes a plain loop. The library itself is LibTorch's own
# libgomp above, so that one process has one pool of threads.
target_compile_options(rs_torch INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fopenmp>)
target_link_options(rs_torch INTERFACE "LINKER:-rpath-link,${cuda_lib}" "LINKER:--disable-new-dtags"
                    "LINKER:-rpath,${LIBTORCH_ROOT}/lib" "LINKER:-rpath,${cuda_lib}")

# The shared header holds fmt, whose macros must be the same wherever the header is used. LibTorch brings its own, newer
# fmt headers, which come first and do not fit the system's compiled fmt: behind torch, fmt is used header-only (its
# versions live in different inline namespaces, so both may be in one program).
target_link_libraries(rs_torch INTERFACE fmt::fmt)
target_compile_definitions(rs_torch INTERFACE FMT_HEADER_ONLY=1)

# What a header uses of its own templates is generated again in every file that sees it, precompiled or not: 1.6 s a file
# for these. CLI11 (2.3 s more) and autograd's and the operator library's headers (0.9 s) therefore stay out.
# Two carriers of the precompiled header: one for libraries and the trainer, one with Qt Test for tests.
set(pch_headers <ATen/ATen.h> <ATen/core/grad_mode.h> <ATen/core/LegacyTypeDispatch.h> <nlohmann/json.hpp> <fmt/format.h>
                <string> <vector> <map> <optional> <memory> <functional> <filesystem>)
file(WRITE ${CMAKE_BINARY_DIR}/pch/empty.cpp "")
add_library(rs_torch_pch STATIC ${CMAKE_BINARY_DIR}/pch/empty.cpp)
target_link_libraries(rs_torch_pch PUBLIC rs_torch PRIVATE rs_warnings)
target_precompile_headers(rs_torch_pch PRIVATE ${pch_headers})
function(rs_add_test_pch)
  add_library(rs_torch_test_pch STATIC ${CMAKE_BINARY_DIR}/pch/empty.cpp)
  target_compile_definitions(rs_torch_test_pch PRIVATE QT_NO_KEYWORDS RANKSCOPE_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                             RANKSCOPE_BIN_DIR="${CMAKE_BINARY_DIR}/bin")
  target_link_libraries(rs_torch_test_pch PUBLIC rs_torch rs_qt_test PRIVATE rs_warnings)
  target_precompile_headers(rs_torch_test_pch PRIVATE ${pch_headers} <QtTest/QtTest>)
  set_target_properties(rs_torch_test_pch PROPERTIES POSITION_INDEPENDENT_CODE ON)
endfunction()
