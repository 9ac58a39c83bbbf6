import QQCore
import Testing

@Suite("Bytes as text")
struct UTF8TextTests {
    @Test(
        "different bytes that are not UTF-8 become different texts",
        arguments: [
            (Array("é".utf8), "é"), ([0xff], "\\xff"), ([0xfe], "\\xfe"), ([0x61, 0xc3, 0x62], "a\\xc3b"), ([0xe2, 0x82], "\\xe2\\x82"),
            ([0xed, 0xa0, 0x80, 0x7a], "\\xed\\xa0\\x80z"), ([], ""),
        ] as [([UInt8], String)])
    func escaping(bytes: [UInt8], text: String) {
        #expect(UTF8Text.escaping(bytes) == text)
    }
}
