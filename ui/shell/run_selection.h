#pragma once
// The runs that are selected right now, shared by all views: selecting rows in Runs drives Live, Compare and Spectrum.
// GUI thread only.

#include <QObject>
#include <QStringList>

namespace rankscope::ui {

class RunSelection : public QObject {
  Q_OBJECT
 public:
  using QObject::QObject;

  const QStringList& ids() const { return m_ids; }
  QString current() const { return m_ids.isEmpty() ? QString() : m_ids.first(); }
  void set(const QStringList& ids) {
    if (ids == m_ids) return;
    m_ids = ids;
    Q_EMIT changed(m_ids);
  }

 Q_SIGNALS:
  void changed(const QStringList& ids);

 private:
  QStringList m_ids;
};

}  // namespace rankscope::ui
