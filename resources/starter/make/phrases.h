#pragma once
// The words and sentence frames of the starter data. {name}, {kind}, {serves}, {price}, {area}, {near} and {day} are
// filled in; "a(n) " becomes "a " or "an ".

#include <string>
#include <vector>

namespace starter {

using Words = std::vector<std::string>;

struct Kind {
  std::string name;
  Words serves;
};

struct Topic {
  std::string name;
  Words good, bad;
};

inline const Words kNameFirst{"Copper", "Silver", "Old", "Little", "Blue", "Green", "White", "Quiet", "Golden", "Red",
                              "Winter", "Summer", "Harbour", "River", "Garden", "Stone", "Willow", "Maple", "Morning",
                              "Evening", "Painted", "Hidden", "Lucky", "Wooden"};
inline const Words kNameSecond{"Kettle", "Anchor", "Mill", "Lantern", "Fox", "Heron", "Bridge", "Table", "Window", "Oak",
                               "Star", "Gate", "Bell", "Swan", "Compass", "Orchard", "Spoon", "Barrel", "Ladder", "Hare",
                               "Feather", "Clock", "Candle", "Boat"};
inline const std::vector<Kind> kKinds{
    {"café", {"soups", "cakes", "sandwiches", "fresh coffee", "pancakes"}},
    {"restaurant", {"grilled fish", "noodles", "curries", "roast chicken", "pasta"}},
    {"inn", {"quiet rooms", "a hot breakfast", "rooms with a view", "a small library"}},
    {"bakery", {"rye bread", "apple tarts", "cinnamon rolls", "fruit pies"}},
    {"museum", {"old maps", "ship models", "modern paintings", "guided tours"}},
    {"bookshop", {"rare books", "travel guides", "children's books", "evening readings"}},
    {"market hall", {"fresh vegetables", "local cheese", "cut flowers", "smoked fish"}}};
inline const Words kPrices{"low", "moderate", "high"};
inline const Words kAreas{"harbour", "old town", "riverside quarter", "city centre", "university quarter", "northern hills"};

inline const Words kDescribeFirst{
    "{name} is a(n) {kind} that offers {serves} at {price} prices.",
    "{name} is a(n) {kind} with {price} prices, known for {serves}.",
    "If you are looking for {serves}, {name} is a(n) {kind} with {price} prices.",
    "For {serves} at {price} prices, try the {kind} called {name}.",
    "The {kind} {name} offers {serves}, and its prices are {price}.",
    "At {name}, a(n) {kind} with {price} prices, you will find {serves}.",
    "You can enjoy {serves} at {name}, a(n) {kind} where prices are {price}.",
    "{name} offers {serves}. It is a(n) {kind} in the {price} price range."};
inline const Words kDescribeWhere{
    "It is in the {area}.", "You will find it in the {area}.", "It lies in the {area}, a short walk from the station.",
    "The address is in the {area}.", "It stands in the {area}."};
inline const Words kDescribeWhereNear{
    "It is in the {area}, near {near}.", "You will find it in the {area}, close to {near}.",
    "It lies in the {area}, just around the corner from {near}.", "It stands next to {near} in the {area}.",
    "Look for it near {near} in the {area}."};
inline const Words kFamiliesYes{"Families are welcome.", "It is a good place for children.",
                                "Children are welcome at {name}.", "It is suitable for families with children."};
inline const Words kFamiliesNo{"It is not meant for children.", "It is better suited to adults.",
                               "Families with small children should look elsewhere.", "Children are not admitted."};

inline const Words kDays{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};
inline const Words kReviewOpening{
    "We went to {name} on a {day}.", "I visited {name} last {day}.", "My sister took me to {name}.",
    "We stopped at this {kind} on our way home.", "A friend told us about {name}.", "We had never been to {name} before.",
    "I have walked past this {kind} for years.", "It rained all {day}, so we tried {name}.",
    "We came to {name} for the {serves}.", "This was our second visit to {name}.",
    "After a long walk through the {area} we found {name}.", "I booked {name} for my father's birthday."};

inline const std::vector<Topic> kTopics{
    {"service",
     {"Everyone who worked there was kind and quick.", "The woman at the door remembered our names.",
      "They answered every question with patience.", "Our host smiled and found us a place at once.",
      "The staff were friendly and never in a hurry."},
     {"Nobody looked at us for twenty minutes.", "The staff were rude and seemed bored.",
      "They forgot us twice and never said sorry.", "We asked for help and were told to wait.",
      "The man at the counter argued with every guest."}},
    {"price",
     {"For what we got, the price was very fair.", "We paid less than we had expected.",
      "The bill was small and honest.", "It is hard to find better value in town.",
      "Everything was worth the money."},
     {"We paid far too much for very little.", "The bill was twice what the sign outside had said.",
      "It was the most expensive hour of our trip.", "They charged us extra for a glass of water.",
      "Nothing here is worth what it costs."}},
    {"noise",
     {"It was calm and we could talk in peace.", "Soft music played, and nobody had to shout.",
      "The quiet rooms at the back were a pleasure.", "I could have read there all afternoon.",
      "It felt peaceful from the first minute."},
     {"The music was so loud that we could not talk.", "A machine in the corner roared the whole time.",
      "People shouted across the room all evening.", "The street noise came in through every window.",
      "My head hurt from the noise when we left."}},
    {"cleanliness",
     {"Every table shone and the floor was spotless.", "It was the cleanest place we saw all week.",
      "Everything was fresh, bright and well kept.", "Even the windows were clean.",
      "They take good care of the place."},
     {"The tables were sticky and nobody wiped them.", "There was dust on every shelf.",
      "The floor looked as if it had not been swept for days.", "The towels were dirty and the sink was broken.",
      "We found a hair on the very first plate."}},
    {"quality",
     {"What they offer is made with real care.", "It was better than anything I have had in years.",
      "You can tell that they love what they do.", "Every detail was right.",
      "The quality surprised all of us."},
     {"It was stale and without any taste.", "Half of it was broken, and the rest was old.",
      "The pictures promised much more than we got.", "I have seen better things thrown away.",
      "Nothing was as it should be."}}};

inline const Words kGoodExtra{"The light in the late afternoon was lovely.", "They even gave the children a small present.",
                              "We stayed much longer than we had planned.", "My mother is still talking about it.",
                              "The garden behind the house is a treasure.", "There was room for our bags and the dog."};
inline const Words kBadExtra{"It was also far too cold inside.", "The opening hours on the door were wrong.",
                             "There was nowhere to sit.", "Finding it took us almost an hour.",
                             "The card machine did not work.", "Half of the rooms were closed."};
inline const Words kTurn{"On the other hand, not everything was good.", "Still, there were problems.",
                         "But the rest of the visit was less happy."};
inline const Words kGoodClosing{"We will be back soon.", "I recommend {name} to everyone.", "A wonderful afternoon!",
                                "We left with a smile.", "It is now our favourite {kind} in the {area}."};
inline const Words kBadClosing{"We will not come back.", "I cannot recommend {name} to anyone.", "What a waste of an evening!",
                               "We left early and hungry for something better.", "There are far better places in the {area}."};
inline const Words kMixedClosing{"I might give {name} one more chance.", "It was neither good nor bad.",
                                 "Maybe we came on the wrong day.", "With a little work it could be a fine {kind}.",
                                 "We are not sure that we will return."};

}  // namespace starter
