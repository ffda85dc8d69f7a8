#include "app/trainer/serve.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <iostream>
#include <memory>
#include <mutex>
#include <thread>

#include "app/trainer/commands.h"
#include "core/config/json_text.h"

namespace rankscope {
namespace {

using nlohmann::json;

struct Request {
  json id;
  std::string method, slot;
  json params = json::object();
  std::atomic<bool> cancelled{false};
};
using RequestPtr = std::shared_ptr<Request>;

Error cancelledError() {
  return {ErrorCode::Interrupted, "cancelled", "", "", "", "Ask again when it is needed."};
}

class Server {
 public:
  Server(std::ostream& out, const Places& places) : m_out(out), m_places(places) {
    for (Lane& lane : m_lanes) lane.thread = std::thread([this, &lane] { work(lane); });
  }

  ~Server() {
    {
      const std::lock_guard lock(m_mutex);
      m_quit = true;
      for (Lane& lane : m_lanes) {
        for (const RequestPtr& request : lane.waiting) request->cancelled = true;
        if (lane.current) lane.current->cancelled = true;
      }
    }
    m_wake.notify_all();
    for (Lane& lane : m_lanes) lane.thread.join();
  }

  void accept(const std::string& line) {
    Result<json> parsed = parseJson(line, "request");
    if (!parsed || !parsed->is_object()) {
      reply(nullptr, "error",
            errorDocument(parsed ? Error{ErrorCode::Usage, "a request is not an object", "request", describeJson(*parsed),
                                         R"({"id": n, "method": "…", "params": {…}})", "Send one JSON object a line."}
                                 : parsed.error()));
      return;
    }
    auto request = std::make_shared<Request>();
    request->id = parsed->value("id", json());
    const json method = parsed->value("method", json()), params = parsed->value("params", json::object());
    const json slot = parsed->value("slot", json());
    if (method.is_string()) request->method = method.get<std::string>();
    if (params.is_object()) request->params = params;
    if (slot.is_string()) request->slot = slot.get<std::string>();
    if (request->method == "cancel") {
      cancel([&](const Request& other) { return other.id == request->params.value("id", json()); });
      return;
    }
    const ServeMethod* found = nullptr;
    for (const ServeMethod& entry : serveMethods())
      if (request->method == entry.name) found = &entry;
    if (!found) {
      std::string known;
      for (const ServeMethod& entry : serveMethods()) known += (known.empty() ? "" : ", ") + std::string(entry.name);
      reply(request->id, "error", errorDocument({ErrorCode::Usage, "there is no such method", "method", request->method,
                                                 known, "Ask for one of these."}));
      return;
    }
    if (!request->slot.empty()) cancel([&](const Request& other) { return other.slot == request->slot; });
    {
      const std::lock_guard lock(m_mutex);
      m_lanes[static_cast<size_t>(found->lane)].waiting.push_back(request);
    }
    m_wake.notify_all();
  }

  // Until everything that was asked is answered.
  void drain() {
    std::unique_lock lock(m_mutex);
    m_idle.wait(lock, [this] {
      return std::all_of(m_lanes.begin(), m_lanes.end(),
                         [](const Lane& lane) { return lane.waiting.empty() && !lane.current; });
    });
  }

 private:
  struct Lane {
    std::deque<RequestPtr> waiting;
    RequestPtr current;
    std::thread thread;
  };

  void cancel(const std::function<bool(const Request&)>& which) {
    const std::lock_guard lock(m_mutex);
    for (Lane& lane : m_lanes) {
      for (const RequestPtr& request : lane.waiting)
        if (which(*request)) request->cancelled = true;
      if (lane.current && which(*lane.current)) lane.current->cancelled = true;
    }
  }

  void work(Lane& lane) {
    std::unique_lock lock(m_mutex);
    for (;;) {
      m_wake.wait(lock, [&] { return m_quit || !lane.waiting.empty(); });
      if (lane.waiting.empty()) return;
      lane.current = lane.waiting.front();
      lane.waiting.pop_front();
      const RequestPtr request = lane.current;
      lock.unlock();
      answer(*request);
      lock.lock();
      lane.current = nullptr;
      m_idle.notify_all();
    }
  }

  void answer(const Request& request) {
    if (request.cancelled) return reply(request.id, "error", errorDocument(cancelledError()));
    const ServeCall call{m_places, request.params, request.cancelled, [&](json progress) {
                           if (!request.cancelled) reply(request.id, "progress", std::move(progress));
                         }};
    for (const ServeMethod& entry : serveMethods()) {
      if (request.method != entry.name) continue;
      try {
        Result<json> result = entry.answer(call);
        if (request.cancelled)
          reply(request.id, "error", errorDocument(cancelledError()));
        else if (result)
          reply(request.id, "result", std::move(*result));
        else
          reply(request.id, "error", errorDocument(result.error()));
      } catch (const ErrorException& problem) {
        reply(request.id, "error", errorDocument(problem.error()));
      } catch (const std::exception& problem) {
        reply(request.id, "error", errorDocument({ErrorCode::Internal, "the helper could not answer", request.method,
                                                  problem.what(), "", "Please report this with what was asked."}));
      }
      return;
    }
  }

  void reply(const json& id, const char* kind, json body) {
    const std::string line = jsonText(json{{"id", id}, {kind, std::move(body)}}) + "\n";
    const std::lock_guard lock(m_outMutex);
    m_out << line << std::flush;
  }

  std::ostream& m_out;
  const Places& m_places;
  std::mutex m_outMutex;
  std::mutex m_mutex;
  std::condition_variable m_wake, m_idle;
  std::array<Lane, 3> m_lanes;  // by ServeLane
  bool m_quit = false;
};

}  // namespace

int serve(std::istream& in, std::ostream& out, const Places& places) {
  Server server(out, places);
  std::string line;
  while (std::getline(in, line))
    if (!line.empty()) server.accept(line);
  // A file of questions gets all its answers; a workbench that has gone away no longer reads them.
  if (!isatty(STDIN_FILENO) && out.good()) server.drain();
  return 0;
}

void addServeCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("serve", "Answer the workbench's questions: JSON lines on standard input and output");
  context.run(sub, [&context] { return serve(std::cin, std::cout, context.places); });
}

}  // namespace rankscope
