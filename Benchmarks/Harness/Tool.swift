import Glibc

/// A process that is controlled by lines and answers some of them with a line. It ends when its stdin is closed, at the latest with this process.
final class Tool {
    private let child: Child
    private let input: UnsafeMutablePointer<FILE>
    private let output: UnsafeMutablePointer<FILE>
    var pid: pid_t { child.pid }

    init(_ words: [String]) {
        let (its, ours) = (Self.pipe(), Self.pipe())
        child = Child(words, input: its.reading, output: ours.writing)
        close(its.reading)
        close(ours.writing)
        guard let input = fdopen(its.writing, "w"), let output = fdopen(ours.reading, "r") else { stop("no streams") }
        (self.input, self.output) = (input, output)
    }

    private static func pipe() -> (reading: CInt, writing: CInt) {
        var ends: [CInt] = [0, 0]
        guard Glibc.pipe(&ends) == 0 else { stop("no pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    /// The next line that the process prints; nil at the end of its output.
    func line() -> String? {
        var line: UnsafeMutablePointer<CChar>?
        var size = 0
        defer { free(line) }
        guard getline(&line, &size, output) > 0, let line else { return nil }
        return String(String(cString: line).drop(while: { $0 == "\n" }).prefix { $0 != "\n" })
    }

    /// Sends a line that is not answered.
    func tell(_ command: String) {
        fputs(command + "\n", input)
        fflush(input)
    }

    /// Sends a line, and returns the numbers of the answer.
    func ask(_ question: String) -> [Int] {
        tell(question)
        guard let answer = line() else { stop("\(question): no answer") }
        return answer.split(separator: " ").compactMap { Int($0) }
    }

    /// Closes both streams and waits for the process to end.
    func end() {
        fclose(input)
        fclose(output)
        child.wait()
    }
}
