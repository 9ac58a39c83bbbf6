/// Which letters the terminal shows.
enum Letters {
    /// Whether it shows more than ASCII, by what the environment says. The console of the kernel has few.
    static var areUnicode: Bool {
        let locale = filledVariable("LC_ALL") ?? filledVariable("LC_CTYPE") ?? filledVariable("LANG") ?? ""
        let code = locale.drop { $0 != "." }.dropFirst().prefix { $0 != "@" }.lowercased()
        return ["utf-8", "utf8"].contains(code) && filledVariable("TERM") != "linux"
    }
}
