import Glibc
import QQCore
import QQHTTP
import Testing

@testable import QQConsul

@Suite("Client of Consul") struct ConsulClientTests {
    @Test func `parameters without a value are names alone, and values are encoded`() {
        let request = ConsulRequest(
            method: .get, path: "/v1/kv/web/.lock", query: [.init("recurse", ""), .init("index", "7"), .init("dc", "a b&c")])
        #expect(request.target == "/v1/kv/web/.lock?recurse&index=7&dc=a%20b%26c")
    }

    @Test func `an answer has its index, and its document or its text`() {
        let found = ConsulAnswer(
            HTTPAnswer(status: 200, fields: [.init("x-consul-index", "42")], body: Array("[]".utf8)), from: "a:8500")
        #expect(found.index == 42 && found.body == [] && found.text.isEmpty)
        let error = ConsulAnswer(HTTPAnswer(status: 500, body: Array("No cluster\nleader\u{1b}[2J".utf8)), from: "a:8500")
        #expect(error.text.hasPrefix("No cluster leader") && !error.text.contains("\u{1b}"))
        let page = ConsulAnswer(HTTPAnswer(status: 502, body: Array("<html>".utf8)), from: "a:8500")
        #expect(page.text.isEmpty && ConsulFailure(page)?.meaning == .uncertain)
    }

    // MARK: Tokens

    /// Calls `body` with the path of a file that does not exist yet, and that is removed in the end.
    private func withFile(_ body: (String) throws -> Void) throws {
        let path = "/tmp/qq-consul-token-\(getpid())-\(UInt64.random(in: .min ... .max))"
        defer { unlink(path) }
        try body(path)
    }

    private func write(_ text: String, to path: String) throws {
        let file = try #require(fopen(path, "w"))
        defer { fclose(file) }
        #expect(fputs(text, file) >= 0)
    }

    @Test func `a token file is read again when its token is denied`() throws {
        try withFile { path in
            try write("first\n", to: path)
            let source = TokenSource(.file(path))
            #expect(try source.current() == Secret("first"))
            #expect(try source.next(after: Secret("first")) == nil)
            try write("second\n", to: path)
            #expect(try source.current() == Secret("first"))
            #expect(try source.next(after: Secret("first")) == Secret("second"))
            #expect(try source.current() == Secret("second"))
        }
    }

    @Test(arguments: ["", " \n", "two\nlines"]) func `a file without one token is a fault of the configuration`(text: String) throws {
        try withFile { path in
            try write(text, to: path)
            let failure = try #require(throws: ConsulFailure.self) { try TokenSource(.file(path)).current() }
            #expect(failure.meaning == .configuration)
        }
    }

    @Test func `a token file that is missing is named`() throws {
        try withFile { path in
            let failure = try #require(throws: ConsulFailure.self) { try TokenSource(.file(path)).current() }
            #expect(failure.endpoint == path && failure.meaning == .configuration)
        }
    }

    @Test func `a secret from the environment has no other after it`() throws {
        #expect(try TokenSource(.secret(Secret("x"))).next(after: Secret("x")) == nil)
        #expect(try TokenSource(.none).current() == nil)
    }
}
