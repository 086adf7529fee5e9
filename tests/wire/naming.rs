//! The naming checklist (`naming.md` 17), with selection and lists behind it (4, 5, 18).
