// Written without Foundation, as everything in this folder: importing it would double the start-up time of `qq`.

/// A JSON document or a part of one (RFC 8259).
///
/// Numbers stay exact: an integer that fits 64 bits is never rounded through a `Double`. Equality is structural, so
/// `.integer(1)` and `.double(1)` differ, as do two objects with the same members in another order.
public enum JSONValue: Sendable, Hashable {
    /// The literal `null`.
    case null
    /// A truth value.
    case bool(Bool)
    /// An integer written without fraction and exponent that fits `Int64`.
    case integer(Int64)
    /// Such an integer above `Int64.max`. Smaller ones are `.integer`; `number(_:)` chooses.
    case unsigned(UInt64)
    /// Any other number. One beyond the range of `Double` is parsed as infinite and has no value. `-0` is parsed as `.double`, to keep its sign.
    case double(Double)
    /// A text, which can contain U+0000.
    case string(String)
    /// Values in order.
    case array([JSONValue])
    /// Names with values, in order.
    case object(JSONObject)

    /// Largest depth to which arrays and objects can be nested in a parsed document.
    public static let maximumDepth = 64

    /// The default limit for the size of a parsed document, in bytes.
    public static let defaultMaximumSize = 16 << 20

    /// Parses one document: a single value, surrounded only by white space (RFC 8259, section 2).
    ///
    /// Strict: no comments, trailing commas, `NaN` or byte order mark, and only valid UTF-8. An escaped surrogate without its other half
    /// becomes U+FFFD, as in Go. Duplicate names are kept; see ``JSONObject``.
    ///
    /// - Parameters:
    ///   - bytes: the document; for a `String`, pass its `utf8`.
    ///   - maximumSize: the largest acceptable size in bytes.
    /// - Throws: ``JSONError`` for the first error, including a document above `maximumSize` or nested deeper than ``maximumDepth``.
    public static func parse(_ bytes: some Collection<UInt8>, maximumSize: Int = defaultMaximumSize) throws(JSONError) -> JSONValue {
        guard bytes.count <= maximumSize else {
            throw JSONError(reason: "the document is larger than \(maximumSize) bytes", offset: 0, line: 1, column: 1)
        }
        var parser = JSONParser(Array(bytes))
        return try parser.document()
    }

    /// The case for an unsigned integer: `.integer` if it fits, otherwise `.unsigned`.
    public static func number(_ value: UInt64) -> JSONValue {
        if let small = Int64(exactly: value) { .integer(small) } else { .unsigned(value) }
    }
}

extension JSONValue {
    /// Whether this is `null`.
    public var isNull: Bool { self == .null }

    /// The truth value, or nil for anything but `true` and `false`.
    public var boolValue: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// The number as an `Int64`, or nil if it is not a number, not integral or out of range. `1.0` and `1e3` count as integral.
    public var int64Value: Int64? {
        switch self {
        case .integer(let value): value
        case .double(let value): Int64(exactly: value)
        default: nil
        }
    }

    /// The number as a `UInt64`, or nil if it is not a number, not integral or out of range.
    public var uint64Value: UInt64? {
        switch self {
        case .integer(let value): UInt64(exactly: value)
        case .unsigned(let value): value
        case .double(let value): UInt64(exactly: value)
        default: nil
        }
    }

    /// The number as a `Double`, rounded to the nearest if an integer has more than 53 bits, or nil for anything but a number in its range.
    public var doubleValue: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .unsigned(let value): Double(value)
        case .double(let value): value.isFinite ? value : nil
        default: nil
        }
    }

    /// The text, or nil for anything but a string.
    public var stringValue: String? {
        if case .string(let value) = self { value } else { nil }
    }

    /// The elements, or nil for anything but an array.
    public var arrayValue: [JSONValue]? {
        if case .array(let value) = self { value } else { nil }
    }

    /// The members, or nil for anything but an object.
    public var objectValue: JSONObject? {
        if case .object(let value) = self { value } else { nil }
    }

    /// The member `name` of an object, or nil if this is not an object or has no such member.
    public subscript(name: String) -> JSONValue? { objectValue?[name] }
}

/// Literals make the values that they look like. `.null` has no literal, because `nil` means that a member is missing.
extension JSONValue: ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
    public init(stringLiteral value: String) { self = .string(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(JSONObject(elements.map { JSONObject.Member(name: $0, value: $1) }))
    }
}
