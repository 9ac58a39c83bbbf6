import Glibc
import QQCore
import Testing

@Suite struct ForeignErrorTests {
    private struct Library: Error, CustomStringConvertible { var description: String }

    @Test func `a library's words come after ours, marked as its own`() {
        #expect(ForeignError.reason("TLS failed", Library(description: "BAD_THING")) == "TLS failed (library: BAD_THING)")
    }

    @Test func `the words are cut, and safe to show`() {
        let long = ForeignError.reason("it failed", Library(description: String(repeating: "x", count: 1_000)))
        #expect(long.count < 250 && long.hasSuffix("…)"))
        #expect(!ForeignError.reason("it failed", Library(description: "\u{1b}[2J")).contains("\u{1b}"))
        #expect(ForeignError.reason("it failed", words: "") == "it failed")
    }

    @Test func `a system call and a cancelled task need no library's words`() {
        #expect(ForeignError.reason("it failed", SystemCallError("socket", code: EMFILE)) == "socket: Too many open files")
        #expect(ForeignError.reason("it failed", CancellationError()) == "interrupted")
    }
}
