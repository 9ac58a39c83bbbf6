import Glibc
import QQCore
import Testing
import Traits

@testable import QQCLI

@Suite("Output queue", .ownThread) struct OutputQueueTests {
    /// A pipe that holds one page.
    private final class Pipe {
        let (reading, writing): (CInt, CInt)

        init() throws {
            var ends: [CInt] = [-1, -1]
            let isMade = pipe(&ends) == 0 && fcntl(ends[1], 1031, CInt(4096)) == 4096
            try #require(isMade)
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            (reading, writing) = (ends[0], ends[1])
        }

        deinit {
            close(reading)
            close(writing)
        }

        /// Reads until `count` bytes have arrived, or none arrives for a minute.
        func read(_ count: Int) -> [UInt8] {
            var bytes: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 1 << 16)
            while bytes.count < count {
                var item = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
                guard poll(&item, 1, 60_000) == 1 else { break }
                let got = Glibc.read(reading, &chunk, chunk.count)
                guard got > 0 else { break }
                bytes += chunk[..<got]
            }
            return bytes
        }
    }

    private func line(_ number: Int) -> [UInt8] { Array("line \(number) \(String(repeating: "x", count: 90))\n".utf8) }

    @Test("queued output arrives whole and in order once it is read") func order() throws {
        let pipe = try Pipe()
        let queue = OutputQueue(pipe.writing)
        var all: [UInt8] = []
        for number in 0..<3000 {
            all += line(number)
            #expect(try queue.write(line(number), to: pipe.writing, mayLeave: true) == .taken)
        }
        #expect(!queue.isEmpty && !queue.finish(within: .milliseconds(20)))
        #expect(pipe.read(all.count) == all)
        #expect(queue.finish(within: .seconds(60)) && queue.lost(pipe.writing) == 0)
        #expect(try queue.write([10], to: pipe.writing, mayLeave: true) == .taken)
        #expect(pipe.read(1) == [10])
    }

    @Test("the output queue is bounded, and returns the count of lost texts once there is room again") func bound() throws {
        let pipe = try Pipe()
        let queue = OutputQueue(pipe.writing, limit: 10_000)
        var taken = 0
        for number in 0..<1000 where try queue.write(line(number), to: pipe.writing, mayLeave: true) == .taken { taken += 1 }
        #expect((100..<200).contains(taken))
        // An answer is queued all the same.
        #expect(try queue.write([33, 10], to: pipe.writing, mayLeave: false) == .taken)
        #expect(queue.takeLeft(pipe.writing) == 0, "nothing was read yet")
        #expect(queue.lost(pipe.writing) > 1000 - taken)
        let expected: [UInt8] = (0..<taken).flatMap { (number: Int) -> [UInt8] in line(number) } + [33, 10]
        #expect(pipe.read(expected.count) == expected)
        #expect(queue.finish(within: .seconds(60)))
        #expect(queue.takeLeft(pipe.writing) == 1000 - taken)
        #expect(queue.takeLeft(pipe.writing) == 0)
        #expect(try queue.write(line(1000), to: pipe.writing, mayLeave: true) == .taken)
    }

    @Test("output that cannot be read any more makes the next write fail") func broken() throws {
        signal(SIGPIPE, SIG_IGN)
        let pipe = try Pipe()
        let queue = OutputQueue(pipe.writing)
        for number in 0..<100 { _ = try queue.write(line(number), to: pipe.writing, mayLeave: true) }
        close(dup2(open("/dev/null", O_RDONLY), pipe.reading) == pipe.reading ? -1 : pipe.reading)
        #expect(queue.finish(within: .seconds(60)))
        #expect(throws: SystemCallError("write", code: EPIPE)) { try queue.write([10], to: pipe.writing, mayLeave: true) }
    }

    @Test("output to a file needs no queue, and its errors are reported immediately") func files() throws {
        let full = open("/dev/full", O_WRONLY | O_CLOEXEC)
        defer { close(full) }
        #expect(throws: SystemCallError("write", code: ENOSPC)) { try OutputQueue(full).write([10], to: full, mayLeave: true) }
    }

    @Test("the output queue does not start before it is allowed to, and finishes all the same") func later() throws {
        let pipe = try Pipe()
        let queue = OutputQueue(pipe.writing)
        let text: [UInt8] = (0..<100).flatMap { (number: Int) -> [UInt8] in line(number) }
        #expect(try queue.write(text, to: pipe.writing, mayLeave: true, mayStart: false) == .taken)
        let start = pipe.read(1).count
        #expect(start == 4096)
        usleep(20_000)
        #expect(!queue.isEmpty)
        #expect(!queue.finish(within: .milliseconds(10)))
        #expect(pipe.read(text.count - start) == Array(text[start...]))
        #expect(queue.finish(within: .seconds(60)))
    }
}
