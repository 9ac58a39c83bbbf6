import NIOCore
import Testing

@testable import QQHTTP

@Suite struct LineBufferTests {
    @Test(arguments: 1...12) func `lines leave as they were, in whatever pieces they came`(size: Int) {
        let text = Array("one\n\ntwo and more\nlast".utf8)
        var buffer = LineBuffer()
        var lines: [String] = []
        for start in stride(from: 0, to: text.count, by: size) {
            buffer.append(ByteBuffer(bytes: text[start..<min(start + size, text.count)]))
            while let line = buffer.next() { lines.append(String(decoding: line, as: UTF8.self)) }
            #expect(!buffer.hasLine)
        }
        #expect(lines == ["one", "", "two and more"] && buffer.count == 4)
        #expect(buffer.rest() == Array("last".utf8) && buffer.count == 0)
    }

    @Test func `much text does not pile up while lines leave`() {
        var buffer = LineBuffer()
        for _ in 0..<1_000 {
            buffer.append(ByteBuffer(repeating: UInt8(ascii: "x"), count: 1_000))
            buffer.append(ByteBuffer(string: "\n"))
            #expect(buffer.next()?.count == 1_000)
        }
        #expect(buffer.count == 0)
    }
}
