# Others may make files in a new folder of ProgramData, and the folder itself before us: what is run or imported from there would be theirs.
$own = 'C:\ProgramData\citadelle'
New-Item -ItemType Directory -Path $own -Force | Out-Null
if ((Get-Item -LiteralPath $own -Force).Attributes -band [IO.FileAttributes]::ReparsePoint) { throw "is a link to another folder: $own" }
$rights = '*S-1-5-32-544:(OI)(CI)F', '*S-1-5-18:(OI)(CI)F', '*S-1-5-32-545:(OI)(CI)RX'
# Who made it could always change who may do what there, and what he has granted would stay.
foreach ($words in @('/setowner', '*S-1-5-32-544'), @('/reset'), (@('/inheritance:r', '/grant:r') + $rights)) {
    & icacls.exe $own @words /q | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "icacls $($words[0]): exit code $LASTEXITCODE" }
}
