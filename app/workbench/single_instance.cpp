#include "app/workbench/single_instance.h"

#include <QCryptographicHash>
#include <QLocalSocket>

namespace rankscope::ui {

namespace {
constexpr int kConnectMs = 400;
constexpr qint64 kLongestMessage = 256;
}  // namespace

SingleInstance::SingleInstance(const std::filesystem::path& home, QObject* parent) : QObject(parent) {
  std::error_code ignored;
  const auto real = std::filesystem::weakly_canonical(home, ignored);
  const QByteArray digest = QCryptographicHash::hash(QByteArray::fromStdString(real.string()), QCryptographicHash::Sha1);
  m_name = QStringLiteral("rankscope-%1").arg(QString::fromLatin1(digest.toHex().left(16)));
  m_server.setSocketOptions(QLocalServer::UserAccessOption);
  connect(&m_server, &QLocalServer::newConnection, this, [this] {
    while (QLocalSocket* socket = m_server.nextPendingConnection()) {
      connect(socket, &QLocalSocket::readyRead, this, [this, socket] {
        if (!socket->canReadLine()) return;
        const QString view = QString::fromUtf8(socket->readLine(kLongestMessage)).trimmed();
        socket->disconnectFromServer();
        Q_EMIT raiseAsked(view);
      });
      connect(socket, &QLocalSocket::disconnected, socket, &QObject::deleteLater);
    }
  });
}

bool SingleInstance::claim(const QString& view) {
  QLocalSocket socket;
  socket.connectToServer(m_name);
  if (socket.waitForConnected(kConnectMs)) {
    socket.write(view.toUtf8() + '\n');
    socket.waitForBytesWritten(kConnectMs);
    socket.waitForDisconnected(kConnectMs);
    return false;
  }
  QLocalServer::removeServer(m_name);  // nobody answers: what is there was left by a crash
  m_server.listen(m_name);
  return true;
}

}  // namespace rankscope::ui
