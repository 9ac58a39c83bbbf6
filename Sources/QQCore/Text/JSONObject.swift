/// The members of a JSON object in the order in which they were read or added.
///
/// Names are compared byte for byte, not by Swift's canonical equivalence, and the last of duplicate names counts, both as in Go's
/// `encoding/json`. Look-up takes linear time.
public struct JSONObject: Sendable, Hashable, ExpressibleByDictionaryLiteral {
    /// A name with its value.
    public struct Member: Sendable, Hashable {
        /// The name, without quotes and escapes.
        public var name: String
        /// The value under the name.
        public var value: JSONValue

        public init(name: String, value: JSONValue) {
            self.name = name
            self.value = value
        }
    }

    /// All members, duplicates included.
    public private(set) var members: [Member]

    /// An object with these members, kept as they are.
    public init(_ members: [Member] = []) {
        self.members = members
    }

    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        members = elements.map { Member(name: $0, value: $1) }
    }

    /// Whether there are no members.
    public var isEmpty: Bool { members.isEmpty }

    /// The last value under `name`, or nil if there is none.
    ///
    /// Setting a value replaces that of the last member of that name in place and removes its earlier duplicates, or adds a member at the
    /// end. Setting nil removes all members of that name; `.null` stores a JSON null.
    public subscript(name: String) -> JSONValue? {
        get { lastIndex(of: name).map { members[$0].value } }
        set {
            if let newValue, let index = lastIndex(of: name) {
                members[index].value = newValue
                let tail = members[index...]
                members = members[..<index].filter { !Self.same($0.name, name) } + tail
            } else if let newValue {
                members.append(Member(name: name, value: newValue))
            } else {
                members.removeAll { Self.same($0.name, name) }
            }
        }
    }

    private func lastIndex(of name: String) -> Int? {
        members.lastIndex { Self.same($0.name, name) }
    }

    private static func same(_ one: String, _ other: String) -> Bool {
        one.utf8.count == other.utf8.count && one.utf8.elementsEqual(other.utf8)
    }
}
