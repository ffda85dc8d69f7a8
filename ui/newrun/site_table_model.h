#pragma once
// The site grid as an item model: row 0 is "every layer", the others are layers; column 0 is "every kind" and names the
// layer, the others are kinds of matrices. Each cell has a tick (three-state in the sums) and, as its editable text, the site's rank: empty
// means the common rank. GUI thread; owns its SiteSelection.

#include <QAbstractTableModel>

#include "ui/newrun/site_selection.h"

namespace rankscope::ui {

class SiteTableModel : public QAbstractTableModel {
  Q_OBJECT

 public:
  enum Roles { OwnRankRole = Qt::UserRole + 1, PresentRole };  // OwnRankRole: 0 common, −1 mixed

  explicit SiteTableModel(QObject* parent = nullptr) : QAbstractTableModel(parent) {}

  void setSites(std::vector<SiteInfo> sites, std::vector<std::string> defaultTargets);
  void readChoice(const SiteChoice& choice);
  void setCommonRank(int64_t rank);
  // Full fine-tuning of chosen sites has no rank to edit.
  void setRanksEditable(bool editable);
  const SiteSelection& selection() const { return m_selection; }
  void setAll(bool on);

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  bool setData(const QModelIndex& index, const QVariant& value, int role) override;
  Qt::ItemFlags flags(const QModelIndex& index) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 Q_SIGNALS:
  void edited();            // by the user, not by readChoice
  void rejected(QString message);  // a typed rank that cannot be

 private:
  int siteFor(const QModelIndex& index) const;
  void everythingChanged();

  SiteSelection m_selection;
  int64_t m_commonRank = 8;
  bool m_ranksEditable = true;
};

}  // namespace rankscope::ui
