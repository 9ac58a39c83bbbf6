import Foundation
import QQCore
import Testing

@Suite("JSON parser")
struct JSONParserTests {
    private func parse(_ text: String) throws -> JSONValue { try JSONValue.parse(text.utf8) }

    @Test("the JSON parser reads every kind of value")
    func kinds() throws {
        let value = try parse(" {\"a\": [null, true, false, 1, -2.5e3, \"x\"],\r\n\t\"b\": {}} ")
        #expect(value == ["a": [.null, true, false, 1, -2500.0, "x"], "b": [:]])
        #expect(value["a"]?.arrayValue?.count == 6)
        #expect(value["b"]?.objectValue?.isEmpty == true)
        #expect(value["c"] == nil)
        #expect(JSONValue.null.isNull)
    }

    @Test(
        "the JSON parser reads 64-bit integers exactly and other numbers as doubles",
        arguments: [
            ("0", .integer(0)), ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
            ("9223372036854775808", .unsigned(9_223_372_036_854_775_808)), ("18446744073709551615", .unsigned(.max)),
            ("18446744073709551616", .double(0x1p64)), ("-9223372036854775809", .double(-0x1p63)), ("1.0", .double(1)),
            ("1E+2", .double(100)),
            ("5e-324", .double(.leastNonzeroMagnitude)), ("1e-400", .double(0)), ("0.1", .double(0.1)), ("-0", .double(0)),
            ("1.7976931348623157e308", .double(.greatestFiniteMagnitude)), ("0e99999999999999999999", .double(0)),
        ] as [(String, JSONValue)])
    func numbers(text: String, value: JSONValue) throws {
        #expect(try parse(text) == value)
    }

    @Test(
        "a number beyond the range of a double is kept without a value",
        arguments: ["1e400", "-1e400", "1" + String(repeating: "0", count: 400)])
    func beyond(text: String) throws {
        let value = try #require(try parse("{\"a\": \(text), \"b\": 1}")["a"])
        #expect(value.doubleValue == nil)
        #expect(value.int64Value == nil)
        #expect(value.uint64Value == nil)
        #expect(!value.isNull)
        #expect(JSONWriter.string([value]) == "[null]")
    }

    @Test("the JSON parser keeps the sign of minus zero")
    func minusZero() throws {
        #expect(try parse("-0").doubleValue?.sign == .minus)
    }

    @Test(
        "the JSON parser reads strings and escapes as Go does",
        arguments: [
            (#""""#, ""), (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"), (#""\u00e9\u00E9é""#, "ééé"), (#""\ud83d\ude00""#, "😀"),
            (#""\ud800""#, "\u{FFFD}"), (#""\ud800A""#, "\u{FFFD}A"), (#""\udc00\ud800x""#, "\u{FFFD}\u{FFFD}x"),
            (#""\ud800\u0041""#, "\u{FFFD}A"), (#""\ud800\ud83d\ude00""#, "\u{FFFD}😀"), (#""\ud800\n""#, "\u{FFFD}\n"),
            (#""\u0000""#, "\0"), ("\"\u{7F}\u{2028}\"", "\u{7F}\u{2028}"), (#""\uFEFF""#, "\u{FEFF}"),
        ])
    func strings(text: String, value: String) throws {
        let parsed = try #require(try parse(text).stringValue)
        #expect(Array(parsed.unicodeScalars) == Array(value.unicodeScalars))
    }

    @Test("a JSON object returns the last of several members with one name and keeps all in order")
    func duplicates() throws {
        let object = try #require(try parse(#"{"b":1,"a":2,"b":3}"#).objectValue)
        #expect(object["b"] == 3)
        #expect(object.members.map(\.name) == ["b", "a", "b"])
    }

    @Test("JSON member names that differ only in their bytes are different")
    func canonicallyEquivalentNames() throws {
        let value = try parse(#"{"\u00e9":1,"e\u0301":2}"#)
        #expect(value["\u{E9}"] == 1)
        #expect(value["e\u{301}"] == 2)
    }

    @Test(
        "a JSON error gives its reason and offset",
        arguments: [
            ("", 0, "expected a value, found the end of the document"), ("  ", 2, "expected a value, found the end of the document"),
            ("[1,]", 3, "expected a value, found ']'"), ("[1 2]", 3, "expected ',' or ']', found '2'"),
            ("[", 1, "expected a value, found the end of the document"), ("{\"a\":1,}", 7, "expected a name in quotes, found '}'"),
            ("{a:1}", 1, "expected a name in quotes or '}', found 'a'"), ("{\"a\" 1}", 5, "expected ':' after the name, found '1'"),
            ("{\"a\":1 \"b\"", 7, "expected ',' or '}', found '\"'"), ("{} x", 3, "expected the end of the document, found 'x'"),
            ("1 // one", 2, "expected the end of the document, found '/'"), ("NaN", 0, "expected a value, found 'N'"),
            ("nul", 3, "expected null, found the end of the document"), ("trUe", 2, "expected true, found 'U'"),
            ("+1", 0, "expected a value, found '+'"), ("01", 0, "a number must not start with 0"),
            ("-01", 1, "a number must not start with 0"), ("-", 1, "expected a digit, found the end of the document"),
            ("1.", 2, "expected a digit, found the end of the document"), (".5", 0, "expected a value, found '.'"),
            ("1e", 2, "expected a digit, found the end of the document"), ("1e+-1", 3, "expected a digit, found '-'"),
            ("\"abc", 4, "the string that starts at byte 0 does not end"),
            ("\"a\nb\"", 2, "a control character in a string must be escaped, found byte 0x0a"),
            ("\"\\x\"", 1, "unknown escape in a string"), ("\"\\", 2, "expected an escaped character, found the end of the document"),
            ("\"\\u12g4\"", 5, "expected four hexadecimal digits after \\u, found 'g'"),
            ("\"\\ud800\\uZ\"", 9, "expected four hexadecimal digits after \\u, found 'Z'"),
            ("\u{FEFF}{}", 0, "starts with a byte order mark"), ("\u{A0}1", 0, "expected a value, found byte 0xc2"),
            ("'a'", 0, "expected a value, found '''"), ("\0", 0, "expected a value, found byte 0x00"),
        ])
    func invalid(text: String, offset: Int, reason: String) {
        let error = #expect(throws: JSONError.self) { try parse(text) }
        #expect(error?.offset == offset)
        #expect(error?.reason == reason)
    }

    @Test(
        "the JSON parser refuses invalid UTF-8 at the byte where it begins",
        arguments: [
            ([0x61, 0xFF], 2), ([0xC3], 1), ([0xC0, 0x80], 1), ([0xED, 0xA0, 0x80], 1), ([0xC3, 0xA9, 0x80], 3),
            ([0xF4, 0x90, 0x80, 0x80], 1),
        ] as [([UInt8], Int)])
    func invalidUTF8(bytes: [UInt8], offset: Int) {
        let error = #expect(throws: JSONError.self) { try JSONValue.parse([0x22] + bytes + [0x22]) }
        #expect(error?.offset == offset)
        #expect(error?.reason == "invalid UTF-8")
    }

    @Test("JSON errors count lines by line feeds and columns by characters")
    func place() {
        let error = #expect(throws: JSONError.self) { try parse("{\n \"é\":\n\n  \"ü\" x") }
        #expect(error?.line == 4)
        #expect(error?.column == 7)
        #expect(error?.description == "line 4, column 7: expected ',' or '}', found 'x'")
    }

    @Test("the JSON parser accepts 64 levels and refuses 65")
    func depth() throws {
        func nested(_ levels: Int) -> String { String(repeating: "[", count: levels) + String(repeating: "]", count: levels) }
        _ = try parse(nested(64))
        let error = #expect(throws: JSONError.self) { try parse(nested(65)) }
        #expect(error?.offset == 64)
        #expect(throws: JSONError.self) { try parse(String(repeating: "{\"a\":", count: 200_000)) }
        _ = try parse("[" + Array(repeating: nested(63), count: 3).joined(separator: ",") + "]")
    }

    @Test("the JSON parser refuses a document above the size limit")
    func size() throws {
        #expect(try JSONValue.parse("1234".utf8, maximumSize: 4) == 1234)
        let error = #expect(throws: JSONError.self) { try JSONValue.parse("12345".utf8, maximumSize: 4) }
        #expect(error?.reason == "the document is larger than 4 bytes")
    }

    @Test("the JSON parser reads slices and raw buffers alike")
    func inputs() throws {
        let bytes = Array("xx[1]".utf8)
        #expect(try JSONValue.parse(bytes[2...]) == [1])
        #expect(try bytes.withUnsafeBytes { try JSONValue.parse($0.dropFirst(2)) } == [1])
        #expect(throws: JSONError(reason: "expected ',' or ']', found the end of the document", offset: 2, line: 1, column: 3)) {
            try JSONValue.parse(bytes[2..<4])
        }
    }

    @Test("the JSON parser agrees with Foundation on thousands of damaged documents and never traps")
    func mutations() throws {
        let seeds = [
            #"{"name":"db","token":18446744073709551615,"ttl":1.5e1,"held":true,"at":"2026-03-01T12:00:00Z","x":null}"#,
            #"[{"a":[1,-2,3.25,[],{}]},"\u00e9\ud83d\ude00\\\"",false,"é😀"]"#, "[[[[[[0]]]]]]",
        ].map { Array($0.utf8) }
        let pool = Array("{}[]\",:\\u0123dD89eE+-. \n\ttrufalsn".utf8) + [0, 0x1F, 0x7F, 0x80, 0xC3, 0xED, 0xA0, 0xF0, 0xFF]
        var numbers = Numbers(seed: 1)
        var accepted = 0
        for round in 0..<6000 {
            var document = seeds[round % seeds.count]
            for _ in 0..<Int.random(in: 1...3, using: &numbers) {
                let index = Int.random(in: 0..<document.count, using: &numbers)
                switch Int.random(in: 0..<4, using: &numbers) {
                case 0: document[index] = pool.randomElement(using: &numbers) ?? 0
                case 1: document.remove(at: index)
                case 2: document.insert(pool.randomElement(using: &numbers) ?? 0, at: index)
                default: document.removeSubrange(index...)
                }
                if document.isEmpty { document = [0x30] }
            }
            do throws(JSONError) {
                let value = try JSONValue.parse(document)
                accepted += 1
                // Compared as text: the double 1e1 is written "10" and comes back as an integer.
                let text = JSONWriter.string(value)
                #expect(try JSONWriter.string(JSONValue.parse(text.utf8)) == text)
                #expect(
                    (try? JSONSerialization.jsonObject(with: Data(document), options: .fragmentsAllowed)) != nil
                        || hasLoneSurrogate(document) || hasNumberBeyondAllRanges(value))
            } catch {
                #expect((0...document.count).contains(error.offset))
                #expect(error.line >= 1 && error.column >= 1)
            }
        }
        #expect(accepted > 100)
    }

    /// Foundation refuses numbers that this parser keeps without a value.
    private func hasNumberBeyondAllRanges(_ value: JSONValue) -> Bool {
        switch value {
        case .double(let number): number.isInfinite
        case .array(let elements): elements.contains { hasNumberBeyondAllRanges($0) }
        case .object(let object): object.members.contains { hasNumberBeyondAllRanges($0.value) }
        default: false
        }
    }

    /// Foundation refuses lone surrogates, which Go and this parser read as U+FFFD.
    private func hasLoneSurrogate(_ document: [UInt8]) -> Bool {
        String(decoding: document, as: UTF8.self).lowercased().contains("\\ud")
    }
}
