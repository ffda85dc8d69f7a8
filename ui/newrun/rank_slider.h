#pragma once
// A rank from 1 to full rank: a logarithmic slider whose stops are powers of two (and full rank), with the exact number
// typed beside it. Arrow keys go to the next stop; any whole number in range may be typed. GUI thread.

#include <QSlider>
#include <QWidget>

class QLabel;
class QLineEdit;

namespace rankscope::ui {

class RankSlider : public QWidget {
  Q_OBJECT

 public:
  explicit RankSlider(QWidget* parent = nullptr);

  qint64 rank() const { return m_rank; }
  // Sets without signalling; the range follows setFullRank, but a rank beyond it is shown as it is (validation says why).
  void setRank(qint64 rank);
  // 0: not known yet (no model chosen); the slider then ends at 256.
  void setFullRank(qint64 fullRank);
  QLineEdit* edit() const { return m_edit; }
  QSlider* slider() const { return m_slider; }

 Q_SIGNALS:
  void rankChanged(qint64 rank);        // by the user
  void textRejected(const QString& text);  // what was typed is not a whole number

 protected:
  void resizeEvent(QResizeEvent* event) override;

 private:
  static int positionOf(qint64 rank);
  void slid(int position);
  void typed();
  void showRank();

  QSlider* m_slider;
  QLineEdit* m_edit;
  QLabel* m_end;
  qint64 m_rank = 8, m_fullRank = 0;
};

}  // namespace rankscope::ui
