//! The terminal: taken for as long as this is there, and given back as it was.

use std::io::{self, Write as _};

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{cursor, execute, queue};
use tokio::sync::mpsc;

use super::rows::Rows;
use super::table::{self, Kind, Line, View};

/// Keys that are not read yet. When full, the thread that reads them waits.
const KEYS: usize = 16;

/// Lines that are no function's: two of all, the heading, and the keys at the end.
const AROUND: usize = 4;

/// What was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    /// The next order.
    Order,
    /// Since the start or since the last look, whichever is not shown.
    SinceStart,
    /// Down by so many lines, or up.
    Scroll(isize),
    /// The terminal has another size.
    Redraw,
}

pub(super) struct Screen(());

impl Screen {
    pub(super) fn open() -> io::Result<(Self, mpsc::Receiver<Key>)> {
        enable_raw_mode()?;
        // From here on dropping it gives the terminal back.
        let screen = Self(());
        execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)?;
        let (pressed, keys) = mpsc::channel(KEYS);
        // Reading blocks; it ends with the program, or when nobody wants keys any more.
        std::thread::spawn(move || {
            while let Ok(event) = event::read() {
                if let Some(key) = key(&event)
                    && pressed.blocking_send(key).is_err()
                {
                    return;
                }
            }
        });
        Ok((screen, keys))
    }

    /// Shows what fits; `view` is brought back to what there is.
    pub(super) fn draw(
        &mut self,
        rows: Option<&Rows>,
        view: &mut View,
        trouble: Option<&str>,
    ) -> io::Result<()> {
        let (width, height) = size()?;
        let (width, height) = (usize::from(width), usize::from(height));
        let count = rows.map_or(0, |rows| rows.functions.len());
        view.skip = view.skip.min(count.saturating_sub(height.saturating_sub(AROUND)));
        let lines = rows.map(|rows| table::text(rows, view)).unwrap_or_default();
        let mut bytes = Vec::new();
        queue!(bytes, BeginSynchronizedUpdate)?;
        for (row, line) in lines.iter().take(height.saturating_sub(1)).enumerate() {
            queue!(bytes, cursor::MoveTo(0, row as u16))?;
            write_line(&mut bytes, line, width)?;
        }
        // What is left of the last look.
        for row in lines.len()..height.saturating_sub(1) {
            queue!(bytes, cursor::MoveTo(0, row as u16), Clear(ClearType::CurrentLine))?;
        }
        let keys = format!(
            "q ends, s sorts (by {}), a shows since the start or not, arrows scroll",
            view.order.name()
        );
        let last = trouble
            .map_or(keys, |trouble| format!("trying again; {}", trouble.replace(char::is_control, " ")));
        queue!(bytes, cursor::MoveTo(0, height.saturating_sub(1) as u16), Clear(ClearType::CurrentLine))?;
        queue!(bytes, SetAttribute(if trouble.is_some() { Attribute::Bold } else { Attribute::Dim }))?;
        queue!(bytes, Print(cut(&last, width)), SetAttribute(Attribute::Reset), EndSynchronizedUpdate)?;
        let mut out = io::stdout();
        out.write_all(&bytes)?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = execute!(io::stdout(), LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
    }
}

fn write_line(bytes: &mut Vec<u8>, line: &Line, width: usize) -> io::Result<()> {
    let text = cut(&line.text, width);
    match line.kind {
        Kind::OfAll | Kind::Function => queue!(bytes, Print(text))?,
        Kind::Heading => {
            queue!(
                bytes,
                SetAttribute(Attribute::Reverse),
                Print(format!("{text:<width$}")),
                SetAttribute(Attribute::Reset)
            )?;
        }
        Kind::Trouble => queue!(bytes, SetForegroundColor(Color::Red), Print(text), ResetColor)?,
    }
    queue!(bytes, Clear(ClearType::UntilNewLine))
}

fn cut(text: &str, width: usize) -> &str {
    text.char_indices().nth(width).map_or(text, |(end, _)| &text[..end])
}

fn key(event: &Event) -> Option<Key> {
    let KeyEvent { code, modifiers, kind, .. } = match event {
        Event::Resize(..) => return Some(Key::Redraw),
        Event::Key(key) => key,
        Event::FocusGained | Event::FocusLost | Event::Mouse(_) => return None,
    };
    if *kind == KeyEventKind::Release {
        return None;
    }
    match code {
        KeyCode::Char('c' | 'd') if modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Quit),
        KeyCode::Char('q') | KeyCode::Esc => Some(Key::Quit),
        KeyCode::Char('s') => Some(Key::Order),
        KeyCode::Char('a') => Some(Key::SinceStart),
        KeyCode::Down | KeyCode::Char('j') => Some(Key::Scroll(1)),
        KeyCode::Up | KeyCode::Char('k') => Some(Key::Scroll(-1)),
        KeyCode::PageDown => Some(Key::Scroll(10)),
        KeyCode::PageUp => Some(Key::Scroll(-10)),
        KeyCode::Home => Some(Key::Scroll(isize::MIN)),
        _ => None,
    }
}
