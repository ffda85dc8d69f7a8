#pragma once
// Every bound on the size of what is read from outside, in one place. Parsers check a size against these before they
// allocate; a file over a bound fails with the bound in its message.

#include <cstddef>
#include <cstdint>

namespace rankscope::limits {

inline constexpr size_t kConfigBytes = 4u << 20;      // config.json, presets, control.json
inline constexpr size_t kSmallJsonBytes = 64u << 10;  // heartbeat.json, run.json
inline constexpr int kJsonDepth = 64;                 // nesting of any JSON document
inline constexpr size_t kTextOption = 256u << 10;     // one text value of an option (notes, template)
inline constexpr size_t kListOption = 65536;          // items of a list or map option
inline constexpr size_t kIssuesListed = 1000;         // mistakes reported for one document

inline constexpr size_t kEventBytes = 8u << 20;          // payload of one frame of events.log
inline constexpr size_t kEventBacklogBytes = 64u << 20;  // waiting to be written (full disk) before events are refused
inline constexpr size_t kEventText = 64u << 10;          // one text of an event (sample, log line)
inline constexpr size_t kEventName = 512;                // a series' or site's name
inline constexpr size_t kEventValues = 4096;             // named values of one event
inline constexpr size_t kEventSites = 65536;             // sites of a model
inline constexpr int64_t kMaxStep = int64_t{1} << 53;    // whole numbers that JSON carries exactly

inline constexpr size_t kControlCommands = 64;  // commands kept in control.json; older ones are dropped
inline constexpr size_t kRunFolders = 1000000;

}  // namespace rankscope::limits
