# Functions that every folder uses, so that a target's layer, flags and precompiled header are decided in one place.

add_library(rs_warnings INTERFACE)
target_compile_options(rs_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
                                             -Wno-missing-field-initializers)
# GCC 12 reports impossible string lengths in its own inlined std::string code at -O2 (its bug 105651 and relatives).
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  target_compile_options(rs_warnings INTERFACE -Wno-restrict -Wno-array-bounds -Wno-stringop-overflow)
endif()
if(RANKSCOPE_WERROR)
  target_compile_options(rs_warnings INTERFACE -Werror)
endif()

# rs_add_library(<name> [TORCH] [DEPS target...]): a static library of every .cpp in the current folder.
# TORCH gives it LibTorch's headers and the shared precompiled header; without it a torch include does not compile.
function(rs_add_library name)
  cmake_parse_arguments(ARG "TORCH" "" "DEPS;EXCLUDE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  foreach(file ${ARG_EXCLUDE})
    list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  endforeach()
  if(NOT sources)
    message(FATAL_ERROR "rs_add_library(${name}): no .cpp file in ${CMAKE_CURRENT_SOURCE_DIR}")
  endif()
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS} PRIVATE rs_warnings)
  if(ARG_TORCH)
    target_link_libraries(${name} PUBLIC rs_torch)
    rs_use_torch_pch(${name})
    set_target_properties(${name} PROPERTIES UNITY_BUILD ${RANKSCOPE_UNITY} UNITY_BUILD_BATCH_SIZE 6)
  endif()
endfunction()

# LibTorch's headers cost 25 s a file; one precompiled header, built once, is shared by every target that sees torch.
function(rs_use_torch_pch name)
  target_precompile_headers(${name} REUSE_FROM rs_torch_pch)
endfunction()

# Qt6::Test as a plain library. Qt's own target defines the source and build folder of each test on the command line, and
# a precompiled header that several tests share must not know either.
function(rs_add_qt_test_library)
  add_library(rs_qt_test INTERFACE)
  target_include_directories(rs_qt_test SYSTEM INTERFACE $<TARGET_PROPERTY:Qt6::Test,INTERFACE_INCLUDE_DIRECTORIES>)
  target_compile_definitions(rs_qt_test INTERFACE QT_TESTLIB_LIB)
  target_link_libraries(rs_qt_test INTERFACE Qt6::Core $<TARGET_FILE:Qt6::Test>)
endfunction()

# The meta-object code that a test's last line includes, for each source that has such a line. AUTOMOC would read every
# header of LibTorch and Qt again for each test (3 to 10 s); moc needs none of them for a class that derives from QObject.
function(rs_run_moc name)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/${name}_moc)
  foreach(source ${ARGN})
    cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
    cmake_path(GET source STEM stem)
    file(STRINGS ${source} wanted REGEX "^#include \"${stem}\\.moc\"" LIMIT_COUNT 1)
    if(wanted)
      add_custom_command(OUTPUT ${folder}/${stem}.moc DEPENDS ${source}
                         COMMAND Qt6::moc --no-notes ${source} -o ${folder}/${stem}.moc
                         COMMENT "" VERBATIM)
      target_sources(${name} PRIVATE ${folder}/${stem}.moc)
      target_include_directories(${name} PRIVATE ${folder})
    endif()
  endforeach()
endfunction()

# rs_add_test(<name> SOURCES files... [TORCH] [LIBS targets...] [LABELS labels...] [TIMEOUT seconds])
# A Qt Test executable, run offscreen. Tests of the same folder share nothing but their libraries.
function(rs_add_test name)
  cmake_parse_arguments(ARG "TORCH" "TIMEOUT" "SOURCES;LIBS;LABELS;ENV" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  rs_run_moc(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_compile_definitions(${name} PRIVATE QT_NO_KEYWORDS RANKSCOPE_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                             RANKSCOPE_BIN_DIR="${CMAKE_BINARY_DIR}/bin")
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} rs_qt_test rs_warnings)
  if(ARG_TORCH)
    target_link_libraries(${name} PRIVATE rs_torch)
    # Qt's include paths and definitions differ from the libraries' header, so tests share one of their own.
    target_precompile_headers(${name} REUSE_FROM rs_torch_test_pch)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}"
                       ENVIRONMENT "QT_QPA_PLATFORM=offscreen;OMP_WAIT_POLICY=passive;RANKSCOPE_SHARED=${RANKSCOPE_SHARED};${ARG_ENV}")
endfunction()
