/// A value that only some systems report of an election or an endpoint, to be shown. Code that decides by such a value reads it through a
/// typed property: one of ``ElectionState`` if several modules need it, else one of the system's own module.
public struct StatusDetail: Sendable, Hashable {
    /// The key in the JSON output.
    public var key: String
    public var value: JSONValue

    public init(_ key: String, _ value: JSONValue) {
        self.key = key
        self.value = value
    }
}

extension [StatusDetail] {
    /// The value under `key`; nil if there is none. Setting replaces the value in its place or appends it, and nil removes it.
    public subscript(key: String) -> JSONValue? {
        get { first { $0.key == key }?.value }
        set {
            let index = firstIndex { $0.key == key }
            switch (index, newValue) {
            case (let index?, let value?): self[index].value = value
            case (let index?, nil): remove(at: index)
            case (nil, let value?): append(StatusDetail(key, value))
            case (nil, nil): break
            }
        }
    }
}
