import QQCore
import Testing

@Suite("JSON writer")
struct JSONWriterTests {
    private let lease: JSONValue = [
        "name": "a<b>&c", "token": 18, "empty": [:], "none": [], "list": [1, .null, true], "nested": ["x": ["y": -0.5]],
    ]

    @Test("the compact style writes one line without spaces")
    func compact() {
        #expect(
            JSONWriter.string(lease)
                == #"{"name":"a<b>&c","token":18,"empty":{},"none":[],"list":[1,null,true],"nested":{"x":{"y":-0.5}}}"#)
    }

    @Test("the indented style indents by two spaces")
    func indented() {
        #expect(
            JSONWriter.string(lease, style: .indented) == """
                {
                  "name": "a<b>&c",
                  "token": 18,
                  "empty": {},
                  "none": [],
                  "list": [
                    1,
                    null,
                    true
                  ],
                  "nested": {
                    "x": {
                      "y": -0.5
                    }
                  }
                }
                """)
    }

    @Test("the Go style equals the output of Go's json.MarshalIndent, byte for byte")
    func go() throws {
        // json.MarshalIndent(struct{…}, "", "  ") with Go 1.22, strings and numbers chosen for its particular escapes and notation.
        let value: JSONValue = [
            "name": .string("a<b>&c\u{2028}\u{2029}\u{7F}é/\"\\\u{8}\u{C}\n\r\t\u{1}"), "empty": [:], "none": [],
            "numbers": [1.0, 0.1, 1e20, 1e21, 1e-6, 1e-7, 1.5e-9, 123456789.125], "<key>": .null,
        ]
        let expected = [
            "{", #"  "name": "a\u003cb\u003e\u0026c\u2028\u2029"# + "\u{7F}é" + #"/\"\\\b\f\n\r\t\u0001","#, #"  "empty": {},"#,
            #"  "none": [],"#, #"  "numbers": ["#, "    1,", "    0.1,", "    100000000000000000000,", "    1e+21,", "    0.000001,",
            "    1e-7,", "    1.5e-9,", "    123456789.125", "  ],", #"  "\u003ckey\u003e": null"#, "}",
        ].joined(separator: "\n")
        #expect(JSONWriter.bytes(value, style: .goIndented) == Array(expected.utf8))
    }

    @Test("styles other than the Go style escape only what RFC 8259 demands", arguments: [JSONWriter.Style.compact, .indented])
    func minimalEscapes(style: JSONWriter.Style) {
        #expect(JSONWriter.string("<>&\u{2028}/é😀\u{0}\u{1F}\"\\", style: style) == "\"<>&\u{2028}/é😀\\u0000\\u001f\\\"\\\\\"")
    }

    @Test(
        "the JSON writer writes numbers in their shortest form",
        arguments: [
            (.double(0), "0"), (.double(-0.0), "-0"), (.double(15), "15"), (.double(-1.25), "-1.25"),
            (.double(.leastNonzeroMagnitude), "5e-324"),
            (.double(.greatestFiniteMagnitude), "1.7976931348623157e+308"), (.double(0.000123), "0.000123"), (.double(1.25e22), "1.25e+22"),
            (.double(0x1p69), "590295810358705700000"), (.double(9_007_199_254_740_992), "9007199254740992"), (.double(.nan), "null"),
            (.double(-.infinity), "null"),
            (.integer(.min), "-9223372036854775808"), (.unsigned(.max), "18446744073709551615"),
        ] as [(JSONValue, String)])
    func numbers(value: JSONValue, text: String) {
        #expect(JSONWriter.string(value) == text)
    }

    @Test("written doubles are read back unchanged")
    func doublesRoundTrip() throws {
        var numbers = Numbers(seed: 2)
        for round in 0..<5000 {
            let bits = numbers.next()
            let value = round % 2 == 0 ? Double(bitPattern: bits) : Double(Int64(truncatingIfNeeded: bits) >> 20) / 1000
            guard value.isFinite else { continue }
            let parsed = try JSONValue.parse(JSONWriter.bytes(.double(value)))
            #expect(parsed.doubleValue == value)
        }
    }

    @Test("JSON values written in any style are read back unchanged", arguments: [JSONWriter.Style.compact, .indented, .goIndented])
    func roundTrip(style: JSONWriter.Style) throws {
        var numbers = Numbers(seed: 3)
        for _ in 0..<300 {
            let value = random(&numbers, depth: 4)
            #expect(try JSONValue.parse(JSONWriter.bytes(value, style: style)) == value)
        }
    }

    private func random(_ numbers: inout Numbers, depth: Int) -> JSONValue {
        switch Int.random(in: 0..<(depth > 0 ? 8 : 6), using: &numbers) {
        case 0: .null
        case 1: .bool(.random(using: &numbers))
        case 2: .integer(.random(in: .min ... .max, using: &numbers))
        case 3: .number(.random(in: .min ... .max, using: &numbers))
        case 4: .double(Double.random(in: -1...1, using: &numbers))
        case 5: .string(text(&numbers))
        case 6: .array((0..<Int.random(in: 0...3, using: &numbers)).map { _ in random(&numbers, depth: depth - 1) })
        default:
            .object(
                JSONObject(
                    (0..<Int.random(in: 0...3, using: &numbers)).map { _ in
                        JSONObject.Member(name: text(&numbers), value: random(&numbers, depth: depth - 1))
                    }))
        }
    }

    private func text(_ numbers: inout Numbers) -> String {
        var text = ""
        for _ in 0..<Int.random(in: 0...6, using: &numbers) {
            let limit: UInt32 = Bool.random(using: &numbers) ? 0x7F : 0x10FFFF
            text.unicodeScalars.append(Unicode.Scalar(UInt32.random(in: 0...limit, using: &numbers)) ?? "<")
        }
        return text
    }
}

@Suite("JSON values")
struct JSONValueTests {
    @Test("JSON numbers are converted only if the result is exact")
    func conversions() {
        #expect(JSONValue.double(1e3).int64Value == 1000)
        #expect(JSONValue.double(1.5).int64Value == nil)
        #expect(JSONValue.double(1e19).int64Value == nil)
        #expect(JSONValue.double(.nan).int64Value == nil)
        #expect(JSONValue.double(1e19).uint64Value == 10_000_000_000_000_000_000)
        #expect(JSONValue.integer(-1).uint64Value == nil)
        #expect(JSONValue.unsigned(.max).int64Value == nil)
        #expect(JSONValue.number(7) == .integer(7))
        #expect(JSONValue.string("1").int64Value == nil)
        #expect(JSONValue.integer(2).doubleValue == 2)
        #expect(JSONValue.integer(1).boolValue == nil)
    }

    @Test("setting a JSON member replaces its value and drops its duplicates")
    func setMember() {
        var object = JSONObject([.init(name: "a", value: 1), .init(name: "b", value: 2), .init(name: "a", value: 3)])
        object["a"] = 4
        #expect(object == ["b": 2, "a": 4])
        object["c"] = .null
        #expect(object == ["b": 2, "a": 4, "c": .null])
        object["b"] = nil
        #expect(object == ["a": 4, "c": .null])
    }
}
