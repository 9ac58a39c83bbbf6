import Glibc
import NIOCore
import NIOPosix
import NIOSSL
import QQCore
import Testing

@testable import QQNetwork

@Suite struct ConnectFailureTests {
    private struct Resolver: Error, CustomStringConvertible { var description: String }
    private struct Unknown: Error {}

    static let errors: [(any Error, String)] = [
        (IOError(errnoCode: ECONNREFUSED, reason: "connect"), "Connection refused"),
        (IOError(errnoCode: EHOSTUNREACH, reason: "connect"), "No route to host"),
        (SystemCallError("socket", code: EMFILE), "Too many open files"),
        (ChannelError.connectTimeout(.seconds(1)), "no answer in time"), (ChannelError.eof, "the connection was lost"),
        (ChannelError.ioOnClosedChannel, "the connection was lost"), (ChannelError.alreadyClosed, "the connection was lost"),
        (ChannelError.outputClosed, "the connection was lost"), (ChannelError.inputClosed, "the connection was lost"),
        (ChannelError.writeHostUnreachable, "No route to host"), (NIOSSLError.uncleanShutdown, "the connection was lost"),
        (EventLoopError.shutdown, "interrupted"), (SocketAddressError.unsupported, "this is not an address that qq can connect to"),
        (Resolver(description: String(cString: gai_strerror(EAI_NONAME))), "no such host"),
        (
            Resolver(description: String(cString: gai_strerror(EAI_AGAIN))),
            "the name cannot be resolved now: no name server answers"
        ),
        (
            Resolver(description: String(cString: gai_strerror(EAI_FAIL))),
            "the name cannot be resolved: " + String(cString: gai_strerror(EAI_FAIL))
        ),
    ]

    @Test(arguments: errors.indices) func `an error of the network library is told in words of ours`(index: Int) {
        let (error, words) = Self.errors[index]
        #expect(ConnectFailure.reason(error) == words)
    }

    @Test(arguments: [ChannelError.connectPending, .operationUnsupported, .unknownLocalAddress, .inappropriateOperationForState])
    func `other errors of the library are told apart from our words`(error: ChannelError) {
        #expect(ConnectFailure.reason(error).hasPrefix("the connection failed (library: "))
        #expect(ConnectFailure.reason(Unknown()).hasPrefix("the connection failed (library: "))
    }

    @Test func `a name that cannot be resolved now has another hint than one that does not exist`() {
        let away = ConnectFailure.hint("the name cannot be resolved now: no name server answers")
        #expect(away?.contains("/etc/resolv.conf") == true)
        #expect(ConnectFailure.hint("no such host: x.example")?.contains("getent hosts") == true)
    }
}
