#include "app/workbench/quit_signals.h"

#include <csignal>
#include <fcntl.h>
#include <unistd.h>

namespace rankscope::ui {

namespace {

int pipeEnds[2] = {-1, -1};

// In a handler only write() is safe; the event loop does the rest.
void passOn(int) {
  const char byte = 1;
  [[maybe_unused]] const ssize_t written = ::write(pipeEnds[1], &byte, 1);
}

void setHandler(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaction(number, &action, nullptr);
}

}  // namespace

QuitSignals::QuitSignals(QObject* parent) : QObject(parent) {
  if (::pipe2(pipeEnds, O_CLOEXEC | O_NONBLOCK) != 0) return;
  m_notifier = new QSocketNotifier(pipeEnds[0], QSocketNotifier::Read, this);
  connect(m_notifier, &QSocketNotifier::activated, this, [this] {
    char bytes[16];
    while (::read(pipeEnds[0], bytes, sizeof bytes) > 0) {
    }
    Q_EMIT quitAsked();
  });
  setHandler(passOn);
}

QuitSignals::~QuitSignals() {
  if (!m_notifier) return;
  setHandler(SIG_DFL);
  delete m_notifier;
  for (int& end : pipeEnds) {
    ::close(end);
    end = -1;
  }
}

}  // namespace rankscope::ui
